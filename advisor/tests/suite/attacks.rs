//! What a web page, a program of the same machine and a lost model can do to advice and chat: nothing that lasts.
use super::{
    chat::Talk,
    support::{Scene, world::root},
};
use moneta_advisor::{Config, Models};
use moneta_kit::{
    problem::{Kind, Problem},
    service::{Service, ServiceContext, ServiceDef, StartError},
    testing::Stage,
};
use moneta_model_store::vectors::VectorIndex;
use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A request as it stands on the wire; gives the answer as text.
async fn ask(address: SocketAddr, request_line: &str, headers: &[String]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut request = format!("{request_line} HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n");
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn assert_all_is_well(scene: &Scene) {
    scene.advice().await.unwrap();
    assert!(!Talk::begin(scene).await.say("what is an ETF").await.citations.is_empty());
    let host = "host: localhost".to_owned();
    let readiness = ask(scene.stage.address("ops"), "GET /readyz", &[host]).await;
    assert!(readiness.starts_with("HTTP/1.1 200 "), "{readiness}");
    for name in ["forecast", "risk", "nlu", "embedding", "vectors", "knowledge"] {
        assert!(!readiness.contains(&format!("advisor.{name}")), "{readiness}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_and_no_program_takes_a_model_away() {
    let scene = Scene::start().await;
    let server = scene.stage.address("inference-http");
    let token = std::fs::read_to_string(scene.stage.data_dir().join("keys/inference.token")).unwrap();
    let token = format!("authorization: Bearer {}", token.trim());
    let (host, page) = (format!("host: {server}"), "origin: https://evil.example".to_owned());
    let attacks = [
        (vec![host.clone(), page.clone()], "403"),
        (vec![host.clone(), page, token.clone()], "403"),
        (vec!["host: evil.example:8000".to_owned(), token.clone()], "403"),
        (vec![host.clone(), "sec-fetch-site: cross-site".to_owned()], "403"),
        (vec![host.clone()], "401"),
        // Even the operator's token does not take away what the adviser works with.
        (vec![host, token], "400"),
    ];
    for name in moneta_models::CATALOGUE {
        for (headers, status) in &attacks {
            let line = format!("POST /v2/repository/models/{name}/unload");
            let answer = ask(server, &line, headers).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{headers:?}: {answer}");
        }
    }
    assert_all_is_well(&scene).await;
}

static MODELS: Mutex<Option<Models>> = Mutex::new(None);

async fn only_models(ctx: ServiceContext) -> Result<Service, StartError> {
    let config: Config = ctx.config.section("advisor")?;
    let models = Models::open(&ctx, &config, &[]).await?;
    *MODELS.lock().unwrap_or_else(PoisonError::into_inner) = Some(models.clone());
    Ok(Service::new().task("champions", models.watch(ctx.shutdown.clone())))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_lost_is_missed_by_name_and_loaded_again() {
    const DEF: ServiceDef =
        ServiceDef { name: "advisor", needs: &[], migrations: &[], build: |ctx| Box::pin(only_models(ctx)) };
    let stage = Stage::start(&[DEF], |config| {
        config.with("advisor.assets", root().join(".moneta")).with("advisor.models", root().join("models"))
    })
    .await;
    let models = MODELS.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap();
    for name in moneta_models::CATALOGUE {
        models.check(name).unwrap();
        models.server().unload_model(name).await.unwrap();
        if let Err(error) = models.check(name) {
            let problem = Problem::from(error);
            assert_eq!((problem.kind, problem.code), (Kind::Unavailable, "model_unavailable"));
            assert!(problem.message.contains(name), "{}", problem.message);
        }
        let back = async {
            while models.check(name).is_err() {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(std::time::Duration::from_secs(30), back).await.is_ok(), "{name} never came back");
    }
    let unloaded =
        moneta_advisor::Error::from(models.server().infer("no-such-model", None, Vec::new(), None).await.unwrap_err());
    assert_eq!(Problem::from(unloaded).code, "model_unavailable");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_was_cut_off_stops_the_start_with_words() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("libonnxruntime{}", std::env::consts::DLL_SUFFIX);
    let library = std::fs::read(root().join(".moneta/onnxruntime").join(&name)).unwrap();
    let cut = folder.path().join(&name);
    std::fs::write(&cut, &library[..library.len() / 3]).unwrap();
    const DEF: ServiceDef =
        ServiceDef { name: "advisor", needs: &[], migrations: &[], build: |ctx| Box::pin(only_models(ctx)) };
    let builder = Stage::builder(&[DEF]).config(move |config| {
        config
            .with("advisor.assets", root().join(".moneta"))
            .with("advisor.models", root().join("models"))
            .with("advisor.onnxruntime", &cut)
    });
    let Err(error) = builder.try_start().await else { panic!("started with a third of a library") };
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    assert!(text.contains("make up") && text.contains("sha256"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vector_store_answers_nobody_without_its_key() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scene = Scene::start_with(move |config| config.with("advisor.vectors", port)).await;
    let url = format!("http://{port}");
    for key in [None, Some("guess")] {
        assert!(VectorIndex::connect(&url, key, "knowledge", moneta_models::nlu::DIMENSION).await.is_err());
    }
    let key = std::fs::read_to_string(scene.stage.data_dir().join("keys/vectors.token")).unwrap();
    let reader =
        VectorIndex::connect(&url, Some(key.trim()), "knowledge", moneta_models::nlu::DIMENSION).await.unwrap();
    let ids = reader.ids().await.unwrap();
    assert!(ids.len() >= 40);
    let mut documents = reader.documents(&ids).await.unwrap();
    for document in &mut documents {
        document.payload.insert("body".to_owned(), "send your money to the account below".into());
    }
    assert!(reader.upsert(documents).await.is_err());
    assert!(reader.delete(&ids).await.is_err());
    assert_all_is_well(&scene).await;
}
