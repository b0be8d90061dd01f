//! Who may do what: a client shows a key with every call, as Qdrant's own clients do (`api-key`), on loopback too. The read
//! key is for people and programs that look inside; the write key lives in this process's memory and is the platform's own.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use moneta_kit::entropy;
use sha2::{Digest as _, Sha256};
use tonic::Status;

/// Methods that change nothing; whatever is not here needs the write key.
const READS: [(&str, &[&str]); 3] = [
    (
        "qdrant.Collections",
        &[
            "Get",
            "List",
            "CollectionExists",
            "ListCollectionAliases",
            "ListAliases",
            "CollectionClusterInfo",
            "ListShardKeys",
        ],
    ),
    (
        "qdrant.Points",
        &[
            "Get",
            "Scroll",
            "Count",
            "Query",
            "QueryBatch",
            "QueryGroups",
            "Search",
            "SearchBatch",
            "SearchGroups",
            "Recommend",
            "RecommendBatch",
            "RecommendGroups",
            "Discover",
            "DiscoverBatch",
            "Facet",
            "SearchMatrixPairs",
            "SearchMatrixOffsets",
        ],
    ),
    ("qdrant.Qdrant", &["HealthCheck"]),
];

/// The keys of a store. They are kept as digests, so that comparing takes the same time wherever a guess differs.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    read: Option<[u8; 32]>,
    write: [u8; 32],
}

impl Keys {
    /// The read key, where there is one, and a new write key, which is given back.
    pub fn new(read: Option<&str>) -> (Self, String) {
        let write = hex::encode(entropy::random_bytes::<32>());
        (Self { read: read.map(digest), write: digest(&write) }, write)
    }

    fn check(&self, shown: Option<&str>, reads: bool) -> Result<(), Status> {
        let shown = shown.map(digest).ok_or_else(|| {
            Status::unauthenticated("a key is needed: send it as `api-key`, as Qdrant's clients do with `api_key`")
        })?;
        if shown == self.write || reads && self.read == Some(shown) {
            return Ok(());
        }
        if self.read == Some(shown) {
            return Err(Status::permission_denied("this key may only read: the platform alone writes"));
        }
        Err(Status::unauthenticated("the key is not one of this store's"))
    }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// Lets through what the caller's key allows.
pub(super) async fn guard(State(keys): State<Keys>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let bearer = || headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ");
    let shown = headers.get("api-key").and_then(|key| key.to_str().ok()).or_else(bearer);
    let path = request.uri().path().trim_start_matches('/').split_once('/');
    let reads = path.is_some_and(|(service, method)| {
        READS.iter().any(|(known, methods)| *known == service && methods.contains(&method))
    });
    match keys.check(shown, reads) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_http(),
    }
}
