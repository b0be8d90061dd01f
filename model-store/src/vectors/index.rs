//! What the platform's own code uses: one collection of documents with an embedding each, on any Qdrant.

use std::time::Duration;

use qdrant_client::qdrant::{
    Condition, CountPointsBuilder, CreateCollectionBuilder, DeletePointsBuilder, Distance, Filter, GetPointsBuilder,
    PointId, PointStruct, PointsIdsList, QueryPointsBuilder, ScrollPointsBuilder, UpsertPointsBuilder, Value,
    VectorParamsBuilder, point_id::PointIdOptions, vector_output::Vector, vectors_config::Config,
};
use qdrant_client::{Payload, Qdrant};
use serde_json::Map;
use uuid::Uuid;

use crate::error::{Error, Result};

/// How long one call may take before the store counts as unavailable.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Points of one request, so that a large index does not make a message that the server refuses.
const BATCH: usize = 256;

/// A document to index.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorDocument {
    /// Derived from the document's name by its owner, so that indexing again replaces instead of doubling.
    pub id: Uuid,
    /// Its embedding; the length is the index's dimension.
    pub vector: Vec<f32>,
    /// What comes back with a hit and what filters read.
    pub payload: Map<String, serde_json::Value>,
}

/// A document that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorHit {
    pub id: Uuid,
    /// Cosine similarity, -1 to 1; 1 for a document that was fetched by id.
    pub score: f32,
    pub payload: Map<String, serde_json::Value>,
}

/// A collection of documents compared by cosine similarity.
#[derive(Clone)]
pub struct VectorIndex {
    client: Qdrant,
    collection: String,
    dimension: usize,
}

impl std::fmt::Debug for VectorIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VectorIndex")
            .field("collection", &self.collection)
            .field("dimension", &self.dimension)
            .finish_non_exhaustive()
    }
}

impl VectorIndex {
    /// Connects to the Qdrant at `url`, showing `key` with every call where there is one, and makes sure that `collection` exists with `dimension` and cosine distance.
    ///
    /// # Errors
    /// [`Error::Qdrant`] when the server cannot be reached; [`Error::CollectionMismatch`] when a collection of that name
    /// holds something else.
    pub async fn connect(url: &str, key: Option<&str>, collection: &str, dimension: usize) -> Result<Self> {
        let builder = Qdrant::from_url(url).timeout(CALL_TIMEOUT).skip_compatibility_check().api_key(key);
        let client = builder.build().map_err(|source| Error::qdrant("connecting to", collection, source))?;
        let index = Self { client, collection: collection.to_owned(), dimension };
        index.ensure().await?;
        Ok(index)
    }

    async fn ensure(&self) -> Result<()> {
        let name = &self.collection;
        let exists =
            self.client.collection_exists(name).await.map_err(|source| Error::qdrant("looking up", name, source))?;
        if !exists {
            let vectors = VectorParamsBuilder::new(self.dimension as u64, Distance::Cosine);
            let request = CreateCollectionBuilder::new(name).vectors_config(vectors);
            self.client.create_collection(request).await.map_err(|source| Error::qdrant("creating", name, source))?;
            return Ok(());
        }
        let info =
            self.client.collection_info(name).await.map_err(|source| Error::qdrant("looking up", name, source))?;
        let config = info.result.and_then(|info| info.config).and_then(|config| config.params);
        match config.and_then(|params| params.vectors_config).and_then(|vectors| vectors.config) {
            Some(Config::Params(params))
                if params.size == self.dimension as u64 && params.distance == Distance::Cosine as i32 =>
            {
                Ok(())
            }
            found => Err(Error::CollectionMismatch {
                collection: name.clone(),
                expected: self.dimension,
                found: describe(found),
            }),
        }
    }

    /// Adds documents, replacing those of the same id, and returns when they are durable and searchable.
    ///
    /// # Errors
    /// [`Error::WrongDimension`] for a vector of another length (nothing is written then); [`Error::Qdrant`].
    pub async fn upsert(&self, documents: Vec<VectorDocument>) -> Result<()> {
        for document in &documents {
            self.check(&document.vector)?;
        }
        let mut points: Vec<PointStruct> = documents
            .into_iter()
            .map(|document| PointStruct::new(point_id(document.id), document.vector, Payload::from(document.payload)))
            .collect();
        while !points.is_empty() {
            let rest = points.split_off(points.len().min(BATCH));
            let request = UpsertPointsBuilder::new(&self.collection, points).wait(true);
            self.client.upsert_points(request).await.map_err(|source| self.failed("writing to", source))?;
            points = rest;
        }
        Ok(())
    }

    /// The `limit` documents most similar to `vector` among those that pass `filter`, best first.
    ///
    /// # Errors
    /// [`Error::WrongDimension`], [`Error::Qdrant`].
    pub async fn search(&self, vector: Vec<f32>, limit: usize, filter: Option<Filter>) -> Result<Vec<VectorHit>> {
        self.check(&vector)?;
        let mut request =
            QueryPointsBuilder::new(&self.collection).query(vector).limit(limit as u64).with_payload(true);
        if let Some(filter) = filter {
            request = request.filter(filter);
        }
        let response = self.client.query(request).await.map_err(|source| self.failed("searching", source))?;
        response.result.into_iter().map(|point| self.hit(point.id, point.score, point.payload)).collect()
    }

    /// The documents of these ids that exist.
    ///
    /// # Errors
    /// [`Error::Qdrant`].
    pub async fn get(&self, ids: &[Uuid]) -> Result<Vec<VectorHit>> {
        let ids: Vec<PointId> = ids.iter().copied().map(point_id).collect();
        let request = GetPointsBuilder::new(&self.collection, ids).with_payload(true);
        let response = self.client.get_points(request).await.map_err(|source| self.failed("reading", source))?;
        response.result.into_iter().map(|point| self.hit(point.id, 1.0, point.payload)).collect()
    }

    /// The documents of these ids that exist, with the vectors as they are stored: scaled to length 1.
    ///
    /// # Errors
    /// [`Error::Qdrant`].
    pub async fn documents(&self, ids: &[Uuid]) -> Result<Vec<VectorDocument>> {
        let ids: Vec<PointId> = ids.iter().copied().map(point_id).collect();
        let request = GetPointsBuilder::new(&self.collection, ids).with_payload(true).with_vectors(true);
        let response = self.client.get_points(request).await.map_err(|source| self.failed("reading", source))?;
        response
            .result
            .into_iter()
            .map(|point| {
                let hit = self.hit(point.id, 1.0, point.payload)?;
                let vector = point.vectors.and_then(|vectors| vectors.get_vector()).map(vector_of).unwrap_or_default();
                Ok(VectorDocument { id: hit.id, vector, payload: hit.payload })
            })
            .collect()
    }

    /// The ids of all documents, in id order.
    ///
    /// # Errors
    /// [`Error::Qdrant`].
    pub async fn ids(&self) -> Result<Vec<Uuid>> {
        let mut ids = Vec::new();
        let mut offset: Option<PointId> = None;
        loop {
            let mut request = ScrollPointsBuilder::new(&self.collection).limit(1_000).with_payload(false);
            if let Some(offset) = offset {
                request = request.offset(offset);
            }
            let page = self.client.scroll(request).await.map_err(|source| self.failed("reading", source))?;
            for point in page.result {
                ids.push(self.uuid(point.id)?);
            }
            match page.next_page_offset {
                Some(next) => offset = Some(next),
                None => return Ok(ids),
            }
        }
    }

    /// Removes documents; ids that are not there are no error.
    ///
    /// # Errors
    /// [`Error::Qdrant`].
    pub async fn delete(&self, ids: &[Uuid]) -> Result<()> {
        let ids: Vec<PointId> = ids.iter().copied().map(point_id).collect();
        let request = DeletePointsBuilder::new(&self.collection).points(PointsIdsList { ids }).wait(true);
        self.client.delete_points(request).await.map_err(|source| self.failed("deleting from", source))?;
        Ok(())
    }

    /// Removes everything but these documents, points that are no documents of ours included.
    ///
    /// # Errors
    /// [`Error::Qdrant`].
    pub async fn keep_only(&self, ids: &[Uuid]) -> Result<()> {
        let others = Filter::must_not([Condition::has_id(ids.iter().copied().map(point_id))]);
        let request = DeletePointsBuilder::new(&self.collection).points(others).wait(true);
        self.client.delete_points(request).await.map_err(|source| self.failed("deleting from", source))?;
        Ok(())
    }

    /// How many documents pass `filter`, exactly.
    ///
    /// # Errors
    /// [`Error::Qdrant`].
    pub async fn count(&self, filter: Option<Filter>) -> Result<u64> {
        let mut request = CountPointsBuilder::new(&self.collection).exact(true);
        if let Some(filter) = filter {
            request = request.filter(filter);
        }
        let response = self.client.count(request).await.map_err(|source| self.failed("counting", source))?;
        Ok(response.result.map_or(0, |result| result.count))
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// [`Error::Qdrant`] when it does not.
    pub async fn ready(&self) -> Result<()> {
        self.client.health_check().await.map_err(|source| self.failed("checking", source))?;
        Ok(())
    }

    fn check(&self, vector: &[f32]) -> Result<()> {
        if vector.len() == self.dimension {
            return Ok(());
        }
        Err(Error::WrongDimension {
            collection: self.collection.clone(),
            expected: self.dimension,
            found: vector.len(),
        })
    }

    fn failed(&self, action: &'static str, source: qdrant_client::QdrantError) -> Error {
        Error::qdrant(action, &self.collection, source)
    }

    fn hit(
        &self,
        id: Option<PointId>,
        score: f32,
        payload: std::collections::HashMap<String, Value>,
    ) -> Result<VectorHit> {
        let payload = payload.into_iter().map(|(key, value)| (key, value.into_json())).collect();
        Ok(VectorHit { id: self.uuid(id)?, score, payload })
    }

    fn uuid(&self, id: Option<PointId>) -> Result<Uuid> {
        let options = id.and_then(|id| id.point_id_options);
        match &options {
            Some(PointIdOptions::Uuid(text)) => Uuid::parse_str(text).ok(),
            _ => None,
        }
        .ok_or_else(|| Error::ForeignPoint { collection: self.collection.clone(), id: format!("{options:?}") })
    }
}

fn vector_of(vector: Vector) -> Vec<f32> {
    match vector {
        Vector::Dense(dense) => dense.data,
        Vector::Sparse(_) | Vector::MultiDense(_) => Vec::new(),
    }
}

fn point_id(id: Uuid) -> PointId {
    PointId { point_id_options: Some(PointIdOptions::Uuid(id.to_string())) }
}

fn describe(config: Option<Config>) -> String {
    match config {
        Some(Config::Params(params)) => {
            let distance = Distance::try_from(params.distance).map_or("unknown", |distance| distance.as_str_name());
            format!("vectors of {} compared by {distance}", params.size)
        }
        Some(Config::ParamsMap(named)) => format!("{} named vectors", named.map.len()),
        None => "no vectors".to_owned(),
    }
}
