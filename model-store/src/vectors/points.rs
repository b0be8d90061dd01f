//! The points service of Qdrant's protocol.

use std::sync::Arc;
use std::time::Instant;

use qdrant_client::qdrant::{
    BatchResult, ClearPayloadPoints, CountPoints, CountResponse, CountResult, CreateFieldIndexCollection,
    CreateVectorNameRequest, DeleteFieldIndexCollection, DeletePayloadPoints, DeletePointVectors, DeletePoints,
    DeleteVectorNameRequest, DiscoverBatchPoints, DiscoverBatchResponse, DiscoverPoints, DiscoverResponse, FacetCounts,
    FacetResponse, GetPoints, GetResponse, PointsOperationResponse, QueryBatchPoints, QueryBatchResponse,
    QueryGroupsResponse, QueryPointGroups, QueryPoints, QueryResponse, RecommendBatchPoints, RecommendBatchResponse,
    RecommendGroupsResponse, RecommendPointGroups, RecommendPoints, RecommendResponse, ScrollPoints, ScrollResponse,
    SearchBatchPoints, SearchBatchResponse, SearchGroupsResponse, SearchMatrixOffsetsResponse,
    SearchMatrixPairsResponse, SearchMatrixPoints, SearchPointGroups, SearchPoints, SearchResponse, SetPayloadPoints,
    UpdateBatchPoints, UpdateBatchResponse, UpdatePointVectors, UpdateResult, UpdateStatus, UpsertPoints,
    points_server::Points,
};
use qdrant_edge::{CountRequest, ScoredPoint, ScrollRequest, UpdateOperation};
use tonic::{Request, Response, Status};

use super::convert::{
    point_id, point_ids, proto_id, refuse_field, retrieved, scored, unimplemented, with_payload, with_vectors,
};
use super::filter::filter;
use super::query;
use super::server::blocking;
use super::store::{Collection, CollectionSpec, Store};
use super::writes::{self, no_shard_key};

type Reply<T> = Result<Response<T>, Status>;

/// Qdrant's default page of a scroll that does not say.
const DEFAULT_PAGE: u32 = 10;

pub(super) struct PointsService {
    pub store: Arc<Store>,
}

impl PointsService {
    /// Writes one operation durably. `wait` is of no consequence: the answer always means applied and on disk.
    async fn write(
        &self,
        collection: &str,
        operation: impl FnOnce(&CollectionSpec) -> Result<UpdateOperation, Status>,
    ) -> Reply<PointsOperationResponse> {
        let started = Instant::now();
        let collection = self.store.get(collection)?;
        let operation = operation(&collection.spec)?;
        blocking(move || collection.write(vec![operation])).await?;
        let time = started.elapsed().as_secs_f64();
        Ok(Response::new(PointsOperationResponse { result: Some(completed()), time, usage: None }))
    }

    async fn read<T: Send + 'static>(
        &self,
        collection: &str,
        operation: impl FnOnce(&Collection) -> Result<T, Status> + Send + 'static,
    ) -> Result<(T, f64), Status> {
        let started = Instant::now();
        let collection = self.store.get(collection)?;
        let result = blocking(move || operation(&collection)).await?;
        Ok((result, started.elapsed().as_secs_f64()))
    }
}

fn completed() -> UpdateResult {
    UpdateResult { operation_id: None, status: UpdateStatus::Completed as i32 }
}

fn batch_result(points: Vec<ScoredPoint>) -> BatchResult {
    BatchResult { result: points.into_iter().map(scored).collect() }
}

/// Requests in one batch: they are worked off one after the other on one thread.
const BATCH_LIMIT: usize = 256;

fn check_batch(length: usize, field: &str) -> Result<(), Status> {
    if length <= BATCH_LIMIT {
        return Ok(());
    }
    Err(Status::invalid_argument(format!("{field} has {length} entries: at most {BATCH_LIMIT} are allowed")))
}

/// The collection of a request inside a batch is the batch's.
fn same_collection(inner: &str, outer: &str) -> Result<(), Status> {
    if inner.is_empty() || inner == outer {
        return Ok(());
    }
    Err(Status::invalid_argument(format!(
        "collection_name `{inner}` inside a batch over `{outer}`: they must be the same"
    )))
}

#[tonic::async_trait]
impl Points for PointsService {
    async fn upsert(&self, request: Request<UpsertPoints>) -> Reply<PointsOperationResponse> {
        let request = request.into_inner();
        no_shard_key(&request.shard_key_selector)?;
        self.write(&request.collection_name, |spec| {
            writes::upsert(request.points, request.update_filter.as_ref(), request.update_mode, spec)
        })
        .await
    }

    async fn delete(&self, request: Request<DeletePoints>) -> Reply<PointsOperationResponse> {
        let request = request.into_inner();
        no_shard_key(&request.shard_key_selector)?;
        self.write(&request.collection_name, |_| writes::delete(request.points)).await
    }

    async fn get(&self, request: Request<GetPoints>) -> Reply<GetResponse> {
        let request = request.into_inner();
        no_shard_key(&request.shard_key_selector)?;
        let (records, time) = self
            .read(&request.collection_name, |collection| {
                let ids = point_ids(request.ids, "ids")?;
                let payload = with_payload(request.with_payload, true)?;
                let vectors = with_vectors(request.with_vectors, &collection.spec)?;
                collection.read(|shard| shard.retrieve(&ids, Some(payload), Some(vectors)))
            })
            .await?;
        let result = records.into_iter().map(retrieved).collect();
        Ok(Response::new(GetResponse { result, time, usage: None }))
    }

    async fn update_vectors(&self, request: Request<UpdatePointVectors>) -> Reply<PointsOperationResponse> {
        let request = request.into_inner();
        no_shard_key(&request.shard_key_selector)?;
        self.write(&request.collection_name, |spec| {
            writes::update_vectors(request.points, request.update_filter.as_ref(), spec)
        })
        .await
    }

    async fn delete_vectors(&self, request: Request<DeletePointVectors>) -> Reply<PointsOperationResponse> {
        let request = request.into_inner();
        no_shard_key(&request.shard_key_selector)?;
        self.write(&request.collection_name, |spec| {
            writes::delete_vectors(request.points_selector, request.vectors, spec)
        })
        .await
    }

    async fn set_payload(&self, request: Request<SetPayloadPoints>) -> Reply<PointsOperationResponse> {
        let request = request.into_inner();
        no_shard_key(&request.shard_key_selector)?;
        self.write(&request.collection_name, |_| {
            writes::set_payload(request.payload, request.points_selector, request.key)
        })
        .await
    }

    async fn overwrite_payload(&self, request: Request<SetPayloadPoints>) -> Reply<PointsOperationResponse> {
        let request = request.into_inner();
        no_shard_key(&request.shard_key_selector)?;
        self.write(&request.collection_name, |_| {
            writes::overwrite_payload(request.payload, request.points_selector, request.key.as_deref())
        })
        .await
    }

    async fn delete_payload(&self, request: Request<DeletePayloadPoints>) -> Reply<PointsOperationResponse> {
        let request = request.into_inner();
        no_shard_key(&request.shard_key_selector)?;
        self.write(&request.collection_name, |_| writes::delete_payload(&request.keys, request.points_selector)).await
    }

    async fn clear_payload(&self, request: Request<ClearPayloadPoints>) -> Reply<PointsOperationResponse> {
        let request = request.into_inner();
        no_shard_key(&request.shard_key_selector)?;
        self.write(&request.collection_name, |_| writes::clear_payload(request.points)).await
    }

    async fn create_field_index(&self, request: Request<CreateFieldIndexCollection>) -> Reply<PointsOperationResponse> {
        let request = request.into_inner();
        self.write(&request.collection_name, |_| writes::create_index(&request)).await
    }

    async fn delete_field_index(&self, request: Request<DeleteFieldIndexCollection>) -> Reply<PointsOperationResponse> {
        let request = request.into_inner();
        self.write(&request.collection_name, |_| writes::delete_index(&request.field_name)).await
    }

    async fn search(&self, request: Request<SearchPoints>) -> Reply<SearchResponse> {
        let request = request.into_inner();
        let name = request.collection_name.clone();
        let (points, time) = self.read(&name, |collection| query::search(collection, request)).await?;
        Ok(Response::new(SearchResponse { result: points.into_iter().map(scored).collect(), time, usage: None }))
    }

    async fn search_batch(&self, request: Request<SearchBatchPoints>) -> Reply<SearchBatchResponse> {
        let request = request.into_inner();
        check_batch(request.search_points.len(), "search_points")?;
        let name = request.collection_name.clone();
        let run = move |collection: &Collection| {
            let searches = request.search_points.into_iter().map(|inner| {
                same_collection(&inner.collection_name, &request.collection_name)?;
                query::search(collection, inner).map(batch_result)
            });
            searches.collect::<Result<Vec<_>, Status>>()
        };
        let (result, time) = self.read(&name, run).await?;
        Ok(Response::new(SearchBatchResponse { result, time, usage: None }))
    }

    async fn scroll(&self, request: Request<ScrollPoints>) -> Reply<ScrollResponse> {
        let request = request.into_inner();
        no_shard_key(&request.shard_key_selector)?;
        refuse_field(request.order_by.is_some(), "order_by")?;
        let name = request.collection_name.clone();
        let limit = request.limit.unwrap_or(DEFAULT_PAGE);
        if limit == 0 {
            return Err(Status::invalid_argument("limit is 0: 1 or more are allowed"));
        }
        let run = move |collection: &Collection| {
            let scroll = ScrollRequest {
                offset: request.offset.map(|id| point_id(Some(id), "offset")).transpose()?,
                limit: Some(query::size(limit.into(), "limit")?),
                filter: filter(request.filter)?,
                with_payload: Some(with_payload(request.with_payload, true)?),
                with_vector: with_vectors(request.with_vectors, &collection.spec)?,
                order_by: None,
            };
            collection.read(|shard| shard.scroll(scroll))
        };
        let ((records, next), time) = self.read(&name, run).await?;
        Ok(Response::new(ScrollResponse {
            next_page_offset: next.map(proto_id),
            result: records.into_iter().map(retrieved).collect(),
            time,
            usage: None,
        }))
    }

    async fn count(&self, request: Request<CountPoints>) -> Reply<CountResponse> {
        let request = request.into_inner();
        no_shard_key(&request.shard_key_selector)?;
        let name = request.collection_name.clone();
        let run = move |collection: &Collection| {
            let count = CountRequest { filter: filter(request.filter)?, exact: request.exact.unwrap_or(true) };
            collection.read(|shard| shard.count(count))
        };
        let (count, time) = self.read(&name, run).await?;
        Ok(Response::new(CountResponse { result: Some(CountResult { count: count as u64 }), time, usage: None }))
    }

    async fn update_batch(&self, request: Request<UpdateBatchPoints>) -> Reply<UpdateBatchResponse> {
        let started = Instant::now();
        let request = request.into_inner();
        let collection = self.store.get(&request.collection_name)?;
        // All entries are checked before the first is applied.
        let operations = request.operations.into_iter().map(|entry| writes::batch_entry(entry, &collection.spec));
        let operations = operations.collect::<Result<Vec<_>, Status>>()?;
        let result = vec![completed(); operations.len()];
        blocking(move || collection.write(operations)).await?;
        Ok(Response::new(UpdateBatchResponse { result, time: started.elapsed().as_secs_f64(), usage: None }))
    }

    async fn query(&self, request: Request<QueryPoints>) -> Reply<QueryResponse> {
        let request = request.into_inner();
        let name = request.collection_name.clone();
        let (points, time) = self.read(&name, |collection| query::query(collection, request)).await?;
        Ok(Response::new(QueryResponse { result: points.into_iter().map(scored).collect(), time, usage: None }))
    }

    async fn query_batch(&self, request: Request<QueryBatchPoints>) -> Reply<QueryBatchResponse> {
        let request = request.into_inner();
        check_batch(request.query_points.len(), "query_points")?;
        let name = request.collection_name.clone();
        let run = move |collection: &Collection| {
            let queries = request.query_points.into_iter().map(|inner| {
                same_collection(&inner.collection_name, &request.collection_name)?;
                query::query(collection, inner).map(batch_result)
            });
            queries.collect::<Result<Vec<_>, Status>>()
        };
        let (result, time) = self.read(&name, run).await?;
        Ok(Response::new(QueryBatchResponse { result, time, usage: None }))
    }

    async fn create_vector_name(&self, _: Request<CreateVectorNameRequest>) -> Reply<PointsOperationResponse> {
        Err(unimplemented("method Points/CreateVectorName"))
    }

    async fn delete_vector_name(&self, _: Request<DeleteVectorNameRequest>) -> Reply<PointsOperationResponse> {
        Err(unimplemented("method Points/DeleteVectorName"))
    }

    async fn search_groups(&self, _: Request<SearchPointGroups>) -> Reply<SearchGroupsResponse> {
        Err(unimplemented("method Points/SearchGroups"))
    }

    async fn recommend(&self, _: Request<RecommendPoints>) -> Reply<RecommendResponse> {
        Err(unimplemented("method Points/Recommend"))
    }

    async fn recommend_batch(&self, _: Request<RecommendBatchPoints>) -> Reply<RecommendBatchResponse> {
        Err(unimplemented("method Points/RecommendBatch"))
    }

    async fn recommend_groups(&self, _: Request<RecommendPointGroups>) -> Reply<RecommendGroupsResponse> {
        Err(unimplemented("method Points/RecommendGroups"))
    }

    async fn discover(&self, _: Request<DiscoverPoints>) -> Reply<DiscoverResponse> {
        Err(unimplemented("method Points/Discover"))
    }

    async fn discover_batch(&self, _: Request<DiscoverBatchPoints>) -> Reply<DiscoverBatchResponse> {
        Err(unimplemented("method Points/DiscoverBatch"))
    }

    async fn query_groups(&self, _: Request<QueryPointGroups>) -> Reply<QueryGroupsResponse> {
        Err(unimplemented("method Points/QueryGroups"))
    }

    async fn facet(&self, _: Request<FacetCounts>) -> Reply<FacetResponse> {
        Err(unimplemented("method Points/Facet"))
    }

    async fn search_matrix_pairs(&self, _: Request<SearchMatrixPoints>) -> Reply<SearchMatrixPairsResponse> {
        Err(unimplemented("method Points/SearchMatrixPairs"))
    }

    async fn search_matrix_offsets(&self, _: Request<SearchMatrixPoints>) -> Reply<SearchMatrixOffsetsResponse> {
        Err(unimplemented("method Points/SearchMatrixOffsets"))
    }
}
