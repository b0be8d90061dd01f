//! The vector server, driven by a plain Qdrant client over a real socket.

use std::collections::HashMap;

use moneta_model_store::Error;
use moneta_model_store::vectors::{Serving, VectorDocument, VectorIndex, VectorServer};
use qdrant_client::qdrant::{
    Condition, CountPointsBuilder, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder,
    DeletePayloadPointsBuilder, DeletePointsBuilder, Distance, FieldType, Filter, GetPointsBuilder,
    HnswConfigDiffBuilder, PointId, PointStruct, PointsIdsList, Query, QueryBatchPointsBuilder, QueryPointsBuilder,
    Range, RecommendPointsBuilder, ScrollPointsBuilder, SearchBatchPointsBuilder, SearchPointsBuilder,
    SetPayloadPointsBuilder, UpdateCollectionBuilder, UpsertPointsBuilder, Value, VectorParamsBuilder,
    VectorsConfigBuilder, point_id::PointIdOptions,
};
use qdrant_client::{Payload, Qdrant, QdrantError};
use serde_json::json;
use tempfile::TempDir;
use tonic::Code;
use uuid::Uuid;

const READ_KEY: &str = "a key for looking inside";

struct Stage {
    client: Qdrant,
    serving: Serving,
    server: VectorServer,
    folder: TempDir,
}

async fn start(folder: TempDir) -> Stage {
    let server = VectorServer::open(folder.path(), Some(READ_KEY)).await.unwrap();
    let serving = server.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let client =
        Qdrant::from_url(&serving.url()).api_key(server.write_key()).skip_compatibility_check().build().unwrap();
    Stage { folder, server, serving, client }
}

impl Stage {
    async fn new() -> Self {
        start(TempDir::new().unwrap()).await
    }

    async fn with_funds() -> Self {
        let stage = Self::new().await;
        let vectors = VectorParamsBuilder::new(3, Distance::Cosine);
        stage.client.create_collection(CreateCollectionBuilder::new("funds").vectors_config(vectors)).await.unwrap();
        let points = vec![
            point(1, [1.0, 0.0, 0.0], json!({"kind": "equity", "fee": 12, "active": true, "risk": 0.8})),
            point(
                2,
                [0.9, 0.1, 0.0],
                json!({"kind": "equity", "fee": 75, "active": false, "risk": 0.6, "tags": ["esg", "uk"]}),
            ),
            point(3, [0.0, 1.0, 0.0], json!({"kind": "bond", "fee": 10, "active": true, "risk": 0.2})),
            point(4, [0.0, 0.0, 1.0], json!({"kind": "cash", "fee": 0, "active": true})),
        ];
        stage.client.upsert_points(UpsertPointsBuilder::new("funds", points).wait(true)).await.unwrap();
        stage
    }

    async fn restart(self) -> Self {
        let Self { folder, server, serving, client } = self;
        drop(client);
        serving.shutdown().await.unwrap();
        drop(server);
        start(folder).await
    }

    async fn matching(&self, filter: Filter) -> Vec<u64> {
        let scroll = ScrollPointsBuilder::new("funds").filter(filter).limit(100);
        let found = self.client.scroll(scroll).await.unwrap().result;
        found.into_iter().map(|point| number(point.id)).collect()
    }
}

fn point(id: u64, vector: [f32; 3], payload: serde_json::Value) -> PointStruct {
    PointStruct::new(id, vector.to_vec(), Payload::try_from(payload).unwrap())
}

fn number(id: Option<PointId>) -> u64 {
    match id.unwrap().point_id_options.unwrap() {
        PointIdOptions::Num(number) => number,
        PointIdOptions::Uuid(uuid) => panic!("{uuid} is not a number"),
    }
}

fn code(result: Result<impl std::fmt::Debug, QdrantError>) -> (Code, String) {
    match result.unwrap_err() {
        QdrantError::ResponseError { status } => (status.code(), status.message().to_owned()),
        other => panic!("expected a response, got {other:?}"),
    }
}

#[tokio::test]
async fn collections_are_created_described_listed_and_deleted() {
    let stage = Stage::with_funds().await;
    let client = &stage.client;
    assert!(client.collection_exists("funds").await.unwrap());
    assert!(!client.collection_exists("shares").await.unwrap());
    let names: Vec<String> = client.list_collections().await.unwrap().collections.into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["funds"]);
    let info = client.collection_info("funds").await.unwrap().result.unwrap();
    assert_eq!(info.points_count, Some(4));

    let tuning = HnswConfigDiffBuilder::default().m(32);
    client.update_collection(UpdateCollectionBuilder::new("funds").hnsw_config(tuning)).await.unwrap();
    let info = client.collection_info("funds").await.unwrap().result.unwrap();
    assert_eq!(info.config.unwrap().hnsw_config.unwrap().m, Some(32));

    let again = CreateCollectionBuilder::new("funds").vectors_config(VectorParamsBuilder::new(3, Distance::Dot));
    assert_eq!(code(client.create_collection(again).await).0, Code::AlreadyExists);
    client.delete_collection("funds").await.unwrap();
    assert!(!client.collection_exists("funds").await.unwrap());
    let gone = client.get_points(GetPointsBuilder::new("funds", [PointId::from(1)])).await;
    assert_eq!(code(gone).0, Code::NotFound);
}

#[tokio::test]
async fn nearest_points_come_best_first_and_obey_limit_offset_and_threshold() {
    let stage = Stage::with_funds().await;
    let search = SearchPointsBuilder::new("funds", [1.0, 0.0, 0.0], 2).with_payload(true).with_vectors(true);
    let found = stage.client.search_points(search).await.unwrap().result;
    assert_eq!(found.iter().map(|point| number(point.id.clone())).collect::<Vec<_>>(), [1, 2]);
    assert!((found[0].score - 1.0).abs() < 1e-6, "{}", found[0].score);
    assert_eq!(found[0].payload["kind"], Value::from("equity"));
    assert!(found[0].vectors.is_some());

    let query = QueryPointsBuilder::new("funds").query(vec![1.0, 0.0, 0.0]).offset(1).limit(1);
    let found = stage.client.query(query).await.unwrap().result;
    assert_eq!(found.into_iter().map(|point| number(point.id)).collect::<Vec<_>>(), [2]);

    let search = SearchPointsBuilder::new("funds", [1.0, 0.0, 0.0], 5).offset(1).score_threshold(0.5);
    let found = stage.client.search_points(search).await.unwrap().result;
    assert_eq!(found.into_iter().map(|point| number(point.id)).collect::<Vec<_>>(), [2]);
    let listing = stage.client.query(QueryPointsBuilder::new("funds").offset(3).limit(5)).await.unwrap().result;
    assert_eq!(listing.into_iter().map(|point| number(point.id)).collect::<Vec<_>>(), [4]);

    let query = QueryPointsBuilder::new("funds").query(vec![1.0, 0.0, 0.0]).score_threshold(0.5);
    let found = stage.client.query(query).await.unwrap().result;
    assert_eq!(found.len(), 2);
    assert!(found[0].payload.is_empty(), "a query returns no payload unless asked");
}

#[tokio::test]
async fn a_query_by_id_leaves_the_point_itself_out() {
    let stage = Stage::with_funds().await;
    let query = QueryPointsBuilder::new("funds").query(Query::new_nearest(PointId::from(1))).limit(1);
    let found = stage.client.query(query).await.unwrap().result;
    assert_eq!(found.into_iter().map(|point| number(point.id)).collect::<Vec<_>>(), [2]);
    let missing = QueryPointsBuilder::new("funds").query(Query::new_nearest(PointId::from(99)));
    assert_eq!(code(stage.client.query(missing).await).0, Code::NotFound);
}

#[tokio::test]
async fn filters_select_by_keyword_integer_bool_range_list_and_id() {
    let stage = Stage::with_funds().await;
    let equity = || Condition::matches("kind", "equity".to_string());
    assert_eq!(stage.matching(Filter::must([equity()])).await, [1, 2]);
    assert_eq!(stage.matching(Filter::must([equity(), Condition::matches("active", true)])).await, [1]);
    assert_eq!(stage.matching(Filter::must_not([equity()])).await, [3, 4]);
    let cheap = Condition::matches("fee", 10_i64);
    assert_eq!(stage.matching(Filter::should([cheap, Condition::matches("kind", "cash".to_string())])).await, [3, 4]);
    let moderate = Condition::range("risk", Range { gte: Some(0.2), lt: Some(0.8), ..Range::default() });
    assert_eq!(stage.matching(Filter::must([moderate])).await, [2, 3]);
    assert_eq!(stage.matching(Filter::must([Condition::matches("tags", "uk".to_string())])).await, [2]);
    let kinds = vec!["bond".to_string(), "cash".to_string()];
    assert_eq!(stage.matching(Filter::must([Condition::matches("kind", kinds)])).await, [3, 4]);
    assert_eq!(stage.matching(Filter::must([Condition::has_id([2_u64, 4])])).await, [2, 4]);
    assert_eq!(stage.matching(Filter::must([Condition::is_empty("risk")])).await, [4]);
    let nested = Condition::from(Filter::should([equity(), Condition::matches("kind", "cash".to_string())]));
    assert_eq!(stage.matching(Filter::must([nested, Condition::matches("active", true)])).await, [1, 4]);

    let search = SearchPointsBuilder::new("funds", [1.0, 0.0, 0.0], 10).filter(Filter::must_not([equity()]));
    let found = stage.client.search_points(search).await.unwrap().result;
    assert_eq!(found.len(), 2);
}

#[tokio::test]
async fn points_are_replaced_read_counted_scrolled_and_deleted() {
    let stage = Stage::with_funds().await;
    let client = &stage.client;
    client
        .upsert_points(UpsertPointsBuilder::new("funds", vec![point(4, [0.0, 0.0, 2.0], json!({"kind": "money"}))]))
        .await
        .unwrap();
    let get = GetPointsBuilder::new("funds", [PointId::from(4), PointId::from(77)]).with_payload(true);
    let found = client.get_points(get).await.unwrap().result;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].payload, HashMap::from([("kind".to_string(), Value::from("money"))]));

    let page = client.scroll(ScrollPointsBuilder::new("funds").limit(3)).await.unwrap();
    assert_eq!(page.result.len(), 3);
    let next = page.next_page_offset.unwrap();
    let rest = client.scroll(ScrollPointsBuilder::new("funds").limit(3).offset(next)).await.unwrap();
    assert_eq!((rest.result.len(), rest.next_page_offset), (1, None));

    client
        .delete_points(DeletePointsBuilder::new("funds").points(PointsIdsList { ids: vec![1.into()] }))
        .await
        .unwrap();
    let bonds = Filter::must([Condition::matches("kind", "bond".to_string())]);
    client.delete_points(DeletePointsBuilder::new("funds").points(bonds)).await.unwrap();
    let count = client.count(CountPointsBuilder::new("funds").exact(true)).await.unwrap().result.unwrap().count;
    assert_eq!(count, 2);
}

#[tokio::test]
async fn payloads_are_set_overwritten_and_deleted_by_key() {
    let stage = Stage::with_funds().await;
    let client = &stage.client;
    let payload = |value| Payload::try_from(value).unwrap();
    let one = || PointsIdsList { ids: vec![PointId::from(1)] };
    let read = || async {
        let get = GetPointsBuilder::new("funds", [PointId::from(1)]).with_payload(true);
        let found = client.get_points(get).await.unwrap().result.remove(0);
        serde_json::Value::from(Payload::from(found.payload))
    };
    let set = SetPayloadPointsBuilder::new("funds", payload(json!({"fee": 13, "note": "cheaper"})));
    client.set_payload(set.points_selector(one()).wait(true)).await.unwrap();
    assert_eq!(read().await, json!({"kind": "equity", "fee": 13, "active": true, "risk": 0.8, "note": "cheaper"}));
    let delete = DeletePayloadPointsBuilder::new("funds", vec!["note".into(), "risk".into()]);
    client.delete_payload(delete.points_selector(one()).wait(true)).await.unwrap();
    assert_eq!(read().await, json!({"kind": "equity", "fee": 13, "active": true}));
    let overwrite = SetPayloadPointsBuilder::new("funds", payload(json!({"kind": "fund"})));
    client.overwrite_payload(overwrite.points_selector(one()).wait(true)).await.unwrap();
    assert_eq!(read().await, json!({"kind": "fund"}));
}

#[tokio::test]
async fn batches_answer_each_request_in_order() {
    let stage = Stage::with_funds().await;
    let searches = vec![
        SearchPointsBuilder::new("funds", [0.0, 1.0, 0.0], 1).build(),
        SearchPointsBuilder::new("funds", [0.0, 0.0, 1.0], 1).build(),
    ];
    let found = stage.client.search_batch_points(SearchBatchPointsBuilder::new("funds", searches)).await.unwrap();
    let ids: Vec<u64> = found.result.into_iter().map(|mut batch| number(batch.result.remove(0).id)).collect();
    assert_eq!(ids, [3, 4]);
    let queries = vec![QueryPointsBuilder::new("funds").query(vec![0.0, 1.0, 0.0]).limit(1).build()];
    let found = stage.client.query_batch(QueryBatchPointsBuilder::new("funds", queries)).await.unwrap();
    assert_eq!(number(found.result[0].result[0].id.clone()), 3);
}

#[tokio::test]
async fn named_vectors_are_searched_by_name() {
    let stage = Stage::new().await;
    let mut config = VectorsConfigBuilder::default();
    config.add_named_vector_params("title", VectorParamsBuilder::new(2, Distance::Cosine));
    config.add_named_vector_params("body", VectorParamsBuilder::new(3, Distance::Dot));
    stage.client.create_collection(CreateCollectionBuilder::new("texts").vectors_config(config)).await.unwrap();
    let vectors = HashMap::from([("title".to_string(), vec![1.0, 0.0]), ("body".to_string(), vec![0.0, 2.0, 0.0])]);
    let points = vec![PointStruct::new(7, vectors, Payload::new())];
    stage.client.upsert_points(UpsertPointsBuilder::new("texts", points)).await.unwrap();
    let query = QueryPointsBuilder::new("texts").query(vec![0.0, 1.0, 0.0]).using("body");
    let found = stage.client.query(query).await.unwrap().result;
    assert_eq!((number(found[0].id.clone()), found[0].score), (7, 2.0));
    let unknown = QueryPointsBuilder::new("texts").query(vec![0.0, 1.0, 0.0]).using("summary");
    let (code, message) = code(stage.client.query(unknown).await);
    assert_eq!(code, Code::InvalidArgument);
    assert!(message.contains("summary") && message.contains("title"), "{message}");
}

#[tokio::test]
async fn bad_input_is_refused_with_the_field_and_changes_nothing() {
    let stage = Stage::with_funds().await;
    let client = &stage.client;
    let upsert = |points| client.upsert_points(UpsertPointsBuilder::new("funds", points).wait(true));

    let good = point(10, [1.0, 1.0, 1.0], json!({}));
    let short = PointStruct::new(11, vec![1.0, 0.0], Payload::new());
    let (status, message) = code(upsert(vec![good.clone(), short]).await);
    assert_eq!(status, Code::InvalidArgument);
    assert!(message.contains('2') && message.contains('3'), "{message}");
    let (status, message) = code(upsert(vec![good.clone(), point(12, [f32::NAN, 0.0, 0.0], json!({}))]).await);
    assert_eq!(status, Code::InvalidArgument);
    assert!(message.contains("NaN"), "{message}");
    let (status, message) =
        code(upsert(vec![good, PointStruct::new("not-a-uuid", vec![0.0; 3], Payload::new())]).await);
    assert_eq!(status, Code::InvalidArgument);
    assert!(message.contains("not-a-uuid"), "{message}");
    let count = client.count(CountPointsBuilder::new("funds").exact(true)).await.unwrap().result.unwrap().count;
    assert_eq!(count, 4);

    let search = client.search_points(SearchPointsBuilder::new("funds", [1.0], 3)).await;
    assert_eq!(code(search).0, Code::InvalidArgument);
    let search = client.search_points(SearchPointsBuilder::new("funds", [1.0, 0.0, 0.0], u64::MAX)).await;
    assert_eq!(code(search).0, Code::InvalidArgument);
    let outside =
        CreateCollectionBuilder::new("../outside").vectors_config(VectorParamsBuilder::new(3, Distance::Cosine));
    assert_eq!(code(client.create_collection(outside).await).0, Code::InvalidArgument);
    let empty = CreateCollectionBuilder::new("empty").vectors_config(VectorParamsBuilder::new(0, Distance::Cosine));
    assert_eq!(code(client.create_collection(empty).await).0, Code::InvalidArgument);
}

#[tokio::test]
async fn what_is_not_supported_answers_unimplemented_by_name() {
    let stage = Stage::with_funds().await;
    let recommend = RecommendPointsBuilder::new("funds", 3).add_positive(PointId::from(1));
    let (status, message) = code(stage.client.recommend(recommend).await);
    assert_eq!(status, Code::Unimplemented);
    assert!(message.contains("Recommend"), "{message}");
    let sample = QueryPointsBuilder::new("funds").query(Query::new_sample(qdrant_client::qdrant::Sample::Random));
    let (status, message) = code(stage.client.query(sample).await);
    assert_eq!(status, Code::Unimplemented);
    assert!(message.contains("sample"), "{message}");
    let (status, message) = code(stage.client.list_aliases().await);
    assert_eq!(status, Code::Unimplemented);
    assert!(message.contains("ListAliases"), "{message}");
}

#[tokio::test]
async fn a_payload_index_is_described_and_filters_alike() {
    let stage = Stage::with_funds().await;
    let index = CreateFieldIndexCollectionBuilder::new("funds", "kind", FieldType::Keyword).wait(true);
    stage.client.create_field_index(index).await.unwrap();
    let info = stage.client.collection_info("funds").await.unwrap().result.unwrap();
    assert!(info.payload_schema.contains_key("kind"));
    assert_eq!(stage.matching(Filter::must([Condition::matches("kind", "equity".to_string())])).await, [1, 2]);
}

#[tokio::test]
async fn data_survives_a_restart_and_goes_on_being_writable() {
    let stage = Stage::with_funds().await.restart().await;
    assert_eq!(stage.matching(Filter::default()).await, [1, 2, 3, 4]);
    let points = vec![point(2, [0.0, 1.0, 0.0], json!({"kind": "mixed"})), point(5, [1.0, 0.0, 0.0], json!({}))];
    stage.client.upsert_points(UpsertPointsBuilder::new("funds", points).wait(true)).await.unwrap();
    let stage = stage.restart().await;
    assert_eq!(stage.matching(Filter::default()).await, [1, 2, 3, 4, 5]);
    assert_eq!(stage.matching(Filter::must([Condition::matches("kind", "mixed".to_string())])).await, [2]);
}

#[tokio::test]
async fn a_second_process_is_kept_out_of_the_store() {
    let stage = Stage::new().await;
    let second = VectorServer::open(stage.folder.path(), None).await;
    assert!(matches!(second, Err(Error::VectorStoreInUse { .. })), "{second:?}");
}

#[tokio::test]
async fn an_interrupted_creation_leaves_no_collection() {
    let stage = Stage::with_funds().await;
    let folder = stage.folder.path().join("half");
    std::fs::create_dir_all(folder.join("shard/segments")).unwrap();
    let stage = stage.restart().await;
    assert!(!stage.client.collection_exists("half").await.unwrap());
    assert!(!folder.exists());
    assert_eq!(stage.matching(Filter::default()).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn concurrent_writers_and_readers_do_not_disturb_each_other() {
    let stage = Stage::with_funds().await;
    let writes = (0..20_u64).map(|n| {
        let points = vec![point(100 + n, [1.0, n as f32, 0.0], json!({"n": n}))];
        stage.client.upsert_points(UpsertPointsBuilder::new("funds", points).wait(true))
    });
    let reads = (0..20).map(|_| stage.client.search_points(SearchPointsBuilder::new("funds", [1.0, 0.0, 0.0], 3)));
    let (writes, reads) = futures::join!(futures::future::join_all(writes), futures::future::join_all(reads));
    assert!(writes.into_iter().all(|write| write.is_ok()));
    assert!(reads.into_iter().all(|read| read.unwrap().result.len() == 3));
    let count = stage.client.count(CountPointsBuilder::new("funds").exact(true)).await.unwrap().result.unwrap().count;
    assert_eq!(count, 24);
}

#[tokio::test]
async fn the_index_helper_replaces_finds_filters_and_removes_documents() {
    let stage = Stage::new().await;
    let index =
        VectorIndex::connect(&stage.serving.url(), Some(stage.server.write_key()), "knowledge", 3).await.unwrap();
    index.ready().await.unwrap();
    let document = |n: u128, vector: [f32; 3], topic: &str| VectorDocument {
        id: Uuid::from_u128(n),
        vector: vector.to_vec(),
        payload: json!({"topic": topic}).as_object().unwrap().clone(),
    };
    let documents = vec![document(1, [1.0, 0.0, 0.0], "risk"), document(2, [0.9, 0.1, 0.0], "fees")];
    index.upsert(documents.clone()).await.unwrap();
    index.upsert(documents).await.unwrap();
    assert_eq!(index.count(None).await.unwrap(), 2);

    let hits = index.search(vec![1.0, 0.0, 0.0], 5, None).await.unwrap();
    assert_eq!(hits.iter().map(|hit| hit.id.as_u128()).collect::<Vec<_>>(), [1, 2]);
    let fees = Filter::must([Condition::matches("topic", "fees".to_string())]);
    let hits = index.search(vec![1.0, 0.0, 0.0], 5, Some(fees)).await.unwrap();
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].payload["topic"], "fees");

    assert_eq!(index.ids().await.unwrap().len(), 2);
    index.delete(&[Uuid::from_u128(1)]).await.unwrap();
    assert_eq!(index.ids().await.unwrap(), [Uuid::from_u128(2)]);
    assert_eq!(index.get(&[Uuid::from_u128(2)]).await.unwrap()[0].payload["topic"], "fees");

    let wrong = index.search(vec![1.0], 5, None).await;
    assert!(matches!(wrong, Err(Error::WrongDimension { expected: 3, found: 1, .. })));
    let other = VectorIndex::connect(&stage.serving.url(), Some(stage.server.write_key()), "knowledge", 4).await;
    assert!(matches!(other, Err(Error::CollectionMismatch { .. })));
}

/// A program of the same machine that reaches the port: without a key, with a wrong one, or with the one for reading.
#[tokio::test]
async fn only_the_write_key_changes_anything_and_without_a_key_nothing_is_answered() {
    let stage = Stage::with_funds().await;
    let client = |key: Option<&str>| {
        Qdrant::from_url(&stage.serving.url()).api_key(key).skip_compatibility_check().build().unwrap()
    };
    let forged = || {
        let payload = json!({"kind": "equity", "text": "send your money to the account below"});
        UpsertPointsBuilder::new("funds", vec![point(1, [1.0, 0.0, 0.0], payload)]).wait(true)
    };
    for key in [None, Some(""), Some("wrong"), Some("a key for looking insid")] {
        let stranger = client(key);
        assert_eq!(code(stranger.upsert_points(forged()).await).0, Code::Unauthenticated, "{key:?}");
        assert_eq!(code(stranger.count(CountPointsBuilder::new("funds")).await).0, Code::Unauthenticated, "{key:?}");
        assert_eq!(code(stranger.list_collections().await).0, Code::Unauthenticated, "{key:?}");
        assert_eq!(code(stranger.health_check().await).0, Code::Unauthenticated, "{key:?}");
    }
    let reader = client(Some(READ_KEY));
    assert_eq!(reader.count(CountPointsBuilder::new("funds")).await.unwrap().result.unwrap().count, 4);
    let ids = PointsIdsList { ids: vec![1.into()] };
    let mut overwritten = Payload::new();
    overwritten.insert("text", "send your money to the account below");
    assert_eq!(code(reader.upsert_points(forged()).await).0, Code::PermissionDenied);
    let set = SetPayloadPointsBuilder::new("funds", overwritten).points_selector(ids.clone());
    assert_eq!(code(reader.set_payload(set).await).0, Code::PermissionDenied);
    let delete = DeletePointsBuilder::new("funds").points(ids);
    assert_eq!(code(reader.delete_points(delete).await).0, Code::PermissionDenied);
    assert_eq!(code(reader.delete_collection("funds").await).0, Code::PermissionDenied);
    let vectors = VectorParamsBuilder::new(3, Distance::Cosine);
    let create = CreateCollectionBuilder::new("other").vectors_config(vectors);
    assert_eq!(code(reader.create_collection(create).await).0, Code::PermissionDenied);
    let kept =
        stage.client.get_points(GetPointsBuilder::new("funds", [PointId::from(1)]).with_payload(true)).await.unwrap();
    assert!(!kept.result[0].payload.contains_key("text"));
}
