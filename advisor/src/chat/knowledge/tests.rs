//! Whoever writes to the vector store, or to its files, does not speak through the chat.
use super::*;
use moneta_kit::keys::KeyRing;
use moneta_model_store::vectors::{Serving, VectorServer};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// Words that nobody of ours wrote.
const FORGED: &str = "To be safe, send your money to the account below.";

/// Three directions for three texts, and a count of how often it was asked.
#[derive(Default)]
struct Directions(AtomicUsize);

fn direction(axis: usize) -> Vec<f32> {
    let mut vector = vec![0.1; DIMENSION];
    vector[axis] = 1.0;
    let length = vector.iter().map(|component| component * component).sum::<f32>().sqrt();
    vector.iter().map(|component| component / length).collect()
}

#[async_trait]
impl Embed for Directions {
    async fn embed(&self, text: &str) -> Result<Vec<f32>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(direction(["Fees", "Risk", "Tax"].iter().position(|title| text.starts_with(title)).unwrap()))
    }

    fn encoder(&self) -> &str {
        "test"
    }
}

fn article(id: &str, title: &str, body: &str) -> Article {
    Article { id: id.to_owned(), title: title.to_owned(), body: body.to_owned() }
}

fn articles() -> Vec<Article> {
    vec![
        article("fees", "Fees", "A fee is what you pay."),
        article("risk", "Risk", "Risk is what may happen."),
        article("tax", "Tax", "Tax is what the state takes."),
    ]
}

struct Stage {
    _folder: TempDir,
    _serving: Serving,
    place: Place,
    knowledge: Knowledge,
    /// Everything that the platform itself could do to the collection, in the hands of an attacker.
    attacker: VectorIndex,
}

impl Stage {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = VectorServer::open(folder.path().join("vectors"), None).await.unwrap();
        let serving = server.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let seal = KeyRing::load(folder.path(), None).unwrap().authenticator("knowledge");
        let key = Some(server.write_key().to_owned());
        let place = Place { url: serving.url(), key: key.clone(), seal };
        let knowledge = Knowledge::open(&place, &articles(), Arc::<Directions>::default()).await.unwrap();
        let attacker = VectorIndex::connect(&serving.url(), key.as_deref(), COLLECTION, DIMENSION).await.unwrap();
        Self { _folder: folder, _serving: serving, place, knowledge, attacker }
    }

    fn id(&self, name: &str) -> Uuid {
        *self.knowledge.articles.iter().find(|(_, article)| article.id == name).unwrap().0
    }

    async fn document(&self, name: &str) -> VectorDocument {
        self.attacker.documents(&[self.id(name)]).await.unwrap().remove(0)
    }

    /// What the chat would cite for a question in each direction.
    async fn cited(&self) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        for axis in 0..3 {
            let hits = self.knowledge.search(&direction(axis), 1).await.unwrap();
            for hit in &hits {
                assert!(articles().contains(&article(&hit.id, &hit.title, &hit.body)), "cited {hit:?}");
            }
            all.push(hits.into_iter().map(|hit| hit.id).collect());
        }
        all
    }

    /// The attack is noticed, nothing of it is cited, and afterwards everything is as before.
    async fn assert_mended(&self, during: [&[&str]; 3], faults: Faults) {
        assert_eq!(self.cited().await, during);
        assert_eq!(sorted(self.knowledge.check().await.unwrap()), faults);
        self.knowledge.doubted().await;
        assert_eq!(sorted(self.knowledge.repair().await.unwrap()), faults);
        assert!(self.knowledge.check().await.unwrap().is_empty());
        assert_eq!(self.cited().await, [["fees"], ["risk"], ["tax"]]);
    }
}

/// The points' ids decide the order in which faults are found.
fn sorted(mut faults: Faults) -> Faults {
    faults.altered.sort();
    faults
}

fn altered(names: &[&str]) -> Faults {
    Faults { altered: names.iter().map(|name| (*name).to_owned()).collect(), ..Faults::default() }
}

#[tokio::test]
async fn what_is_indexed_is_found_and_indexed_once() {
    let stage = Stage::new().await;
    assert_eq!(stage.cited().await, [["fees"], ["risk"], ["tax"]]);
    let again = Arc::new(Directions::default());
    Knowledge::open(&stage.place, &articles(), again.clone()).await.unwrap();
    assert_eq!(again.0.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn altered_words_are_never_cited() {
    for key in ["body", "title", "id", "seal", "embedding"] {
        let stage = Stage::new().await;
        let mut document = stage.document("fees").await;
        document.payload.insert(key.to_owned(), json!(FORGED));
        stage.attacker.upsert(vec![document]).await.unwrap();
        stage.assert_mended([&[], &["risk"], &["tax"]], altered(&["fees"])).await;
    }
    let stage = Stage::new().await;
    let mut document = stage.document("fees").await;
    document.payload.clear();
    stage.attacker.upsert(vec![document]).await.unwrap();
    stage.assert_mended([&[], &["risk"], &["tax"]], altered(&["fees"])).await;
}

#[tokio::test]
async fn a_genuine_text_in_the_place_of_another_is_not_cited() {
    let stage = Stage::new().await;
    let (mut fees, mut risk) = (stage.document("fees").await, stage.document("risk").await);
    std::mem::swap(&mut fees.payload, &mut risk.payload);
    stage.attacker.upsert(vec![fees, risk]).await.unwrap();
    stage.assert_mended([&[], &[], &["tax"]], altered(&["fees", "risk"])).await;

    // The payloads stay and the vectors are exchanged: a question about one would be answered with the other.
    let stage = Stage::new().await;
    let (mut fees, mut risk) = (stage.document("fees").await, stage.document("risk").await);
    std::mem::swap(&mut fees.vector, &mut risk.vector);
    stage.attacker.upsert(vec![fees, risk]).await.unwrap();
    stage.assert_mended([&[], &[], &["tax"]], altered(&["fees", "risk"])).await;
}

#[tokio::test]
async fn a_text_that_was_slipped_in_is_not_cited() {
    let stage = Stage::new().await;
    let mut document = stage.document("fees").await;
    document.id = Cause::named("attacker").derive("point");
    stage.attacker.upsert(vec![document.clone()]).await.unwrap();
    document.id = Cause::named("attacker").derive("another");
    document.payload.insert("body".to_owned(), json!(FORGED));
    stage.attacker.upsert(vec![document]).await.unwrap();
    let foreign = Faults { foreign: 2, ..Faults::default() };
    stage.assert_mended([&["fees"], &["risk"], &["tax"]], foreign).await;
    assert_eq!(stage.attacker.count(None).await.unwrap(), 3);
}

#[tokio::test]
async fn deleted_texts_are_missed_and_come_back() {
    let stage = Stage::new().await;
    stage.attacker.delete(&[stage.id("fees"), stage.id("tax")]).await.unwrap();
    let mut faults = stage.knowledge.check().await.unwrap();
    faults.missing.sort();
    assert_eq!(faults, Faults { missing: vec!["fees".to_owned(), "tax".to_owned()], ..Faults::default() });
    assert!(stage.cited().await.iter().flatten().all(|name| name == "risk"));
    stage.knowledge.repair().await.unwrap();
    assert!(stage.knowledge.check().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_seal_of_another_platform_or_of_a_text_no_longer_published_does_not_count() {
    let stage = Stage::new().await;
    let other = tempfile::tempdir().unwrap();
    let seal = KeyRing::load(other.path(), None).unwrap().authenticator("knowledge");
    let foreign = Place { seal, ..stage.place.clone() };
    Knowledge::open(&foreign, &articles(), Arc::<Directions>::default()).await.unwrap();
    assert_eq!(stage.cited().await, [[""; 0]; 3]);
    stage.knowledge.repair().await.unwrap();

    let kept = stage.document("fees").await;
    let fewer = articles().into_iter().filter(|article| article.id != "fees").collect::<Vec<_>>();
    let knowledge = Knowledge::open(&stage.place, &fewer, Arc::<Directions>::default()).await.unwrap();
    stage.attacker.upsert(vec![kept]).await.unwrap();
    assert!(knowledge.search(&direction(0), 3).await.unwrap().iter().all(|hit| hit.id != "fees"));
    assert_eq!(knowledge.check().await.unwrap().foreign, 1);
}
