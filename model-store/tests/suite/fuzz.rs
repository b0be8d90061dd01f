//! Attacks on the vector store's parsers: depth, size, numbers that are none, and generated requests. What comes in is
//! answered, and the store still answers afterwards. `MONETA_FUZZ_SECONDS` sets how long the generated ones go on.

use std::time::{Duration, Instant};

use moneta_model_store::vectors::{Condition, Filter, Serving, VectorServer};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use qdrant_client::qdrant::{
    CountPointsBuilder, CreateCollectionBuilder, Distance, GetPointsBuilder, ListValue, NestedCondition, PointId,
    PointStruct, QueryPointsBuilder, Range, ScrollPointsBuilder, Struct, UpsertPointsBuilder, Value, ValuesCount,
    VectorParamsBuilder, condition::ConditionOneOf, value::Kind,
};
use qdrant_client::{Payload, Qdrant, QdrantError};
use tempfile::TempDir;
use tonic::Code;

struct Store {
    client: Qdrant,
    _serving: Serving,
    _folder: TempDir,
}

async fn store() -> Store {
    let folder = TempDir::new().unwrap();
    let server = VectorServer::open(folder.path(), None).await.unwrap();
    let serving = server.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let client =
        Qdrant::from_url(&serving.url()).api_key(server.write_key()).skip_compatibility_check().build().unwrap();
    let vectors = VectorParamsBuilder::new(3, Distance::Cosine);
    client.create_collection(CreateCollectionBuilder::new("funds").vectors_config(vectors)).await.unwrap();
    let payload = Payload::try_from(serde_json::json!({"kind": "equity", "fee": 12, "tags": ["a", "b"]})).unwrap();
    let points = vec![PointStruct::new(1, vec![1.0, 0.0, 0.0], payload)];
    client.upsert_points(UpsertPointsBuilder::new("funds", points).wait(true)).await.unwrap();
    Store { client, _serving: serving, _folder: folder }
}

impl Store {
    async fn still_answers(&self) {
        let counted = self.client.count(CountPointsBuilder::new("funds").exact(true)).await.unwrap();
        assert_eq!(counted.result.unwrap().count, 1);
    }
}

fn code<T>(result: Result<T, QdrantError>) -> (Code, String) {
    match result {
        Ok(_) => (Code::Ok, String::new()),
        Err(QdrantError::ResponseError { status }) => (status.code(), status.message().to_owned()),
        Err(other) => panic!("expected a response, got {other:?}"),
    }
}

fn nested(depth: usize) -> Filter {
    (0..depth).fold(Filter::must([Condition::matches("kind", "equity".to_owned())]), |inner, level| {
        if level % 2 == 0 {
            return Filter::must([Condition { condition_one_of: Some(ConditionOneOf::Filter(inner)) }]);
        }
        let nested = NestedCondition { key: "tags".to_owned(), filter: Some(inner) };
        Filter::must_not([Condition { condition_one_of: Some(ConditionOneOf::Nested(nested)) }])
    })
}

#[tokio::test]
async fn deep_filters_are_refused_and_not_recursed_into() {
    let store = store().await;
    let count = CountPointsBuilder::new("funds").filter(nested(1));
    assert_eq!(code(store.client.count(count).await).0, Code::Ok);
    for depth in [17, 24, 40, 200, 1_000] {
        let (code, message) = code(store.client.count(CountPointsBuilder::new("funds").filter(nested(depth))).await);
        let refused = code == Code::InvalidArgument || message.contains("recursion limit");
        assert!(refused, "{depth}: {code:?} {message}");
    }
    store.still_answers().await;
}

#[tokio::test]
async fn numbers_and_sizes_out_of_range_are_refused() {
    let store = store().await;
    let query = |vector: Vec<f32>| QueryPointsBuilder::new("funds").query(vector);
    for vector in [
        vec![f32::NAN, 0.0, 0.0],
        vec![f32::INFINITY, 0.0, 0.0],
        vec![0.0, f32::NEG_INFINITY, 0.0],
        vec![],
        vec![1.0; 2],
        vec![1.0; 100_000],
    ] {
        let length = vector.len();
        assert_eq!(code(store.client.query(query(vector.clone())).await).0, Code::InvalidArgument, "{length}");
        let points = vec![PointStruct::new(2, vector, Payload::new())];
        let upsert = UpsertPointsBuilder::new("funds", points).wait(true);
        assert_eq!(code(store.client.upsert_points(upsert).await).0, Code::InvalidArgument, "{length}");
    }
    for size in [u64::MAX, u64::MAX / 2, 1 << 32] {
        let limited = query(vec![1.0, 0.0, 0.0]).limit(size);
        assert_eq!(code(store.client.query(limited).await).0, Code::InvalidArgument, "{size}");
        let moved = query(vec![1.0, 0.0, 0.0]).offset(size);
        assert_eq!(code(store.client.query(moved).await).0, Code::InvalidArgument, "{size}");
    }
    let scroll = ScrollPointsBuilder::new("funds").limit(u32::MAX);
    assert_eq!(code(store.client.scroll(scroll).await).0, Code::InvalidArgument);
    let long = "a.".repeat(10_000);
    let (found, message) = code(
        store
            .client
            .count(
                CountPointsBuilder::new("funds").filter(Filter::must([Condition::matches(long, "equity".to_owned())])),
            )
            .await,
    );
    assert!(found != Code::Internal || message.len() < 1_000, "{found:?} {message}");
    store.still_answers().await;
}

#[tokio::test]
async fn deep_and_huge_payloads_are_answered() {
    let store = store().await;
    for depth in [8, 60, 500] {
        let mut value = Value { kind: Some(Kind::IntegerValue(1)) };
        for level in 0..depth {
            value = Value {
                kind: Some(if level % 2 == 0 {
                    Kind::ListValue(ListValue { values: vec![value] })
                } else {
                    Kind::StructValue(Struct { fields: [("a".to_owned(), value)].into() })
                }),
            };
        }
        let mut point = PointStruct::new(1, vec![1.0, 0.0, 0.0], Payload::new());
        point.payload.insert("deep".to_owned(), value);
        let (code, message) =
            code(store.client.upsert_points(UpsertPointsBuilder::new("funds", vec![point]).wait(true)).await);
        assert!(code == Code::Ok || depth > 8, "{depth}: {code:?} {message}");
    }
    let mut point = PointStruct::new(1, vec![1.0, 0.0, 0.0], Payload::new());
    point.payload.insert("huge".to_owned(), "x".repeat(40 << 20).into());
    let (code, _) = code(store.client.upsert_points(UpsertPointsBuilder::new("funds", vec![point]).wait(true)).await);
    assert_ne!(code, Code::Ok);
    let found =
        store.client.get_points(GetPointsBuilder::new("funds", [PointId::from(1)]).with_payload(true)).await.unwrap();
    assert!(!found.result[0].payload.contains_key("huge"));
    store.still_answers().await;
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let key = prop_oneof![Just("fee".to_owned()), Just("tags[]".to_owned()), "[a-z.\\[\\]\"]{0,12}"];
    let bound = || prop::option::of(any::<f64>());
    let range = (bound(), bound(), bound(), bound()).prop_map(|(lt, gt, gte, lte)| Range { lt, gt, gte, lte });
    let count = || prop::option::of(any::<u64>());
    let counts = (count(), count()).prop_map(|(lt, gt)| ValuesCount { lt, gt, ..ValuesCount::default() });
    prop_oneof![
        (key.clone(), any::<i64>()).prop_map(|(key, value)| Condition::matches(key, value)),
        (key.clone(), ".{0,12}").prop_map(|(key, value)| Condition::matches(key, value)),
        (key.clone(), range).prop_map(|(key, range)| Condition::range(key, range)),
        (key.clone(), counts).prop_map(|(key, counts)| Condition::values_count(key, counts)),
        key.clone().prop_map(Condition::is_empty),
        key.prop_map(Condition::is_null),
        prop::collection::vec(any::<u64>(), 0..4).prop_map(Condition::has_id),
        Just(Condition { condition_one_of: None }),
    ]
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let leaf = prop::collection::vec(any_condition(), 0..3).prop_map(Filter::must);
    leaf.prop_recursive(6, 24, 3, |inner| {
        let inside = inner.prop_map(|filter| Condition { condition_one_of: Some(ConditionOneOf::Filter(filter)) });
        let conditions = || prop::collection::vec(inside.clone(), 0..3);
        (conditions(), conditions(), conditions()).prop_map(|(must, should, must_not)| Filter {
            must,
            should,
            must_not,
            ..Filter::default()
        })
    })
}

#[test]
fn generated_requests_are_answered_and_the_store_lives_on() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = runtime.block_on(store());
    let seconds = std::env::var("MONETA_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let end = Instant::now() + Duration::from_secs(seconds);
    let strategy = (
        prop::collection::vec(any::<f32>(), 0..5),
        prop::option::of(any_filter()),
        prop_oneof![0..20_u64, any::<u64>()],
        prop::option::of("[a-z]{0,3}"),
        any::<u32>(),
    );
    loop {
        let mut runner = TestRunner::new(Config { cases: 128, failure_persistence: None, ..Config::default() });
        let outcome = runner.run(&strategy, |(vector, filter, limit, using, page)| {
            runtime.block_on(async {
                let mut query = QueryPointsBuilder::new("funds").query(vector).limit(limit);
                let mut scroll = ScrollPointsBuilder::new("funds").limit(page);
                let mut count = CountPointsBuilder::new("funds");
                if let Some(filter) = filter {
                    query = query.filter(filter.clone());
                    scroll = scroll.filter(filter.clone());
                    count = count.filter(filter);
                }
                if let Some(using) = using {
                    query = query.using(using);
                }
                for (code, message) in [
                    code(store.client.query(query).await),
                    code(store.client.scroll(scroll).await),
                    code(store.client.count(count).await),
                ] {
                    assert!(!matches!(code, Code::Unknown | Code::Unavailable | Code::Cancelled), "{code:?} {message}");
                }
                store.still_answers().await;
            });
            Ok(())
        });
        outcome.unwrap();
        if Instant::now() >= end {
            return;
        }
    }
}
