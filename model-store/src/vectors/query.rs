//! Search and query requests as engine queries.

use qdrant_client::qdrant::{
    Query, QueryPoints, SearchParams as ProtoParams, SearchPoints, VectorInput, query::Variant,
    vector_input::Variant as InputVariant,
};
use qdrant_edge::external::ordered_float::OrderedFloat;
use qdrant_edge::{
    Filter, HasIdCondition, NamedQuery, PointId, QueryEnum, QueryRequest, ScoredPoint, ScoringQuery, SearchParams,
    VectorInternal, VectorStructInternal, WithVector,
};
use tonic::Status;

use super::convert::{check_dense, point_id, refuse_field, unimplemented, with_payload, with_vectors};
use super::filter::filter;
use super::store::Collection;
use super::writes::no_shard_key;

type Checked<T> = Result<T, Status>;

/// Qdrant's default number of results of a query that does not say.
const DEFAULT_LIMIT: u64 = 10;

/// What a query looks for.
enum Target {
    Vector(Vec<f32>),
    /// The vector of a stored point; the point itself is left out of the result.
    Point(PointId),
    /// No query: points in id order.
    Nothing,
}

/// Runs a search (nearest neighbours of a vector). Blocking.
pub(super) fn search(collection: &Collection, request: SearchPoints) -> Checked<Vec<ScoredPoint>> {
    no_shard_key(&request.shard_key_selector)?;
    refuse_field(request.sparse_indices.is_some(), "sparse_indices")?;
    let name = request.vector_name.unwrap_or_default();
    check_dense(&request.vector, &name, &collection.spec)?;
    let query = QueryRequest {
        prefetches: Vec::new(),
        query: Some(nearest(request.vector, name)),
        filter: filter(request.filter)?,
        score_threshold: request.score_threshold.map(OrderedFloat),
        limit: size(request.limit, "limit")?,
        offset: size(request.offset.unwrap_or(0), "offset")?,
        params: params(request.params)?,
        with_vector: with_vectors(request.with_vectors, &collection.spec)?,
        with_payload: with_payload(request.with_payload, false)?,
    };
    run(collection, query)
}

/// Runs a universal query, of which nearest (by vector or by point id) and plain listing are supported. Blocking.
pub(super) fn query(collection: &Collection, request: QueryPoints) -> Checked<Vec<ScoredPoint>> {
    no_shard_key(&request.shard_key_selector)?;
    refuse_field(!request.prefetch.is_empty(), "prefetch")?;
    refuse_field(request.lookup_from.is_some(), "lookup_from")?;
    let name = request.using.unwrap_or_default();
    let mut selected = filter(request.filter)?;
    let scoring = match target(request.query)? {
        Target::Vector(vector) => {
            check_dense(&vector, &name, &collection.spec)?;
            Some(nearest(vector, name))
        }
        Target::Point(id) => {
            let vector = stored_vector(collection, id, &name)?;
            selected = Some(without(selected, id));
            Some(nearest(vector, name))
        }
        Target::Nothing => None,
    };
    let query = QueryRequest {
        prefetches: Vec::new(),
        query: scoring,
        filter: selected,
        score_threshold: request.score_threshold.map(OrderedFloat),
        limit: size(request.limit.unwrap_or(DEFAULT_LIMIT), "limit")?,
        offset: size(request.offset.unwrap_or(0), "offset")?,
        params: params(request.params)?,
        with_vector: with_vectors(request.with_vectors, &collection.spec)?,
        with_payload: with_payload(request.with_payload, false)?,
    };
    run(collection, query)
}

fn run(collection: &Collection, mut query: QueryRequest) -> Checked<Vec<ScoredPoint>> {
    if query.limit == 0 {
        return Ok(Vec::new());
    }
    // The engine leaves the offset to a layer above it, which here is this one.
    let (offset, limit) = (std::mem::take(&mut query.offset), query.limit);
    query.limit = offset + limit;
    let points = collection.read(|shard| shard.query(query))?;
    Ok(points.into_iter().skip(offset).take(limit).collect())
}

fn target(query: Option<Query>) -> Checked<Target> {
    let variant = match query {
        None => return Ok(Target::Nothing),
        Some(query) => query.variant,
    };
    let unsupported = match variant {
        Some(Variant::Nearest(input)) => return input_target(input),
        None => return Err(Status::invalid_argument("query is empty: nearest is supported")),
        Some(Variant::Recommend(_)) => "recommend",
        Some(Variant::Discover(_)) => "discover",
        Some(Variant::Context(_)) => "context",
        Some(Variant::OrderBy(_)) => "order_by",
        Some(Variant::Fusion(_)) => "fusion",
        Some(Variant::Sample(_)) => "sample",
        Some(Variant::Formula(_)) => "formula",
        Some(Variant::NearestWithMmr(_)) => "nearest_with_mmr",
        Some(Variant::Rrf(_)) => "rrf",
        Some(Variant::RelevanceFeedback(_)) => "relevance_feedback",
        Some(Variant::Text(_)) => "text",
    };
    Err(unimplemented(&format!("query variant `{unsupported}`")))
}

fn input_target(input: VectorInput) -> Checked<Target> {
    match input.variant {
        Some(InputVariant::Dense(dense)) => Ok(Target::Vector(dense.data)),
        Some(InputVariant::Id(id)) => Ok(Target::Point(point_id(Some(id), "query.nearest.id")?)),
        Some(InputVariant::Sparse(_)) => Err(unimplemented("a sparse query vector")),
        Some(InputVariant::MultiDense(_)) => Err(unimplemented("a multi-vector query")),
        Some(InputVariant::Document(_) | InputVariant::Image(_) | InputVariant::Object(_)) => {
            Err(unimplemented("inference of a query vector from a document, image or object"))
        }
        None => Err(Status::invalid_argument("query.nearest is empty: a dense vector or a point id")),
    }
}

fn nearest(vector: Vec<f32>, name: String) -> ScoringQuery {
    let using = (!name.is_empty()).then_some(name);
    ScoringQuery::Vector(QueryEnum::Nearest(NamedQuery { query: VectorInternal::Dense(vector), using }))
}

fn stored_vector(collection: &Collection, id: PointId, name: &str) -> Checked<Vec<f32>> {
    let records = collection.read(|shard| shard.retrieve(&[id], Some(false.into()), Some(WithVector::Bool(true))))?;
    let stored = records.into_iter().next().ok_or_else(|| Status::not_found(format!("point {id} does not exist")))?;
    let vector = match stored.vector {
        Some(VectorStructInternal::Single(data)) if name.is_empty() => Some(data),
        Some(VectorStructInternal::Named(mut named)) => match named.remove(name) {
            Some(VectorInternal::Dense(data)) => Some(data),
            _ => None,
        },
        _ => None,
    };
    vector.ok_or_else(|| Status::invalid_argument(format!("point {id} has no vector named `{name}`")))
}

fn without(filter: Option<Filter>, id: PointId) -> Filter {
    let mut filter = filter.unwrap_or_default();
    let excluded = qdrant_edge::Condition::HasId(HasIdCondition::from_iter([id]));
    filter.must_not.get_or_insert_default().push(excluded);
    filter
}

fn params(params: Option<ProtoParams>) -> Checked<Option<SearchParams>> {
    let Some(params) = params else { return Ok(None) };
    refuse_field(params.quantization.is_some(), "params.quantization")?;
    refuse_field(params.acorn.is_some(), "params.acorn")?;
    refuse_field(params.idf.is_some(), "params.idf")?;
    Ok(Some(SearchParams {
        hnsw_ef: params.hnsw_ef.map(|ef| size(ef, "params.hnsw_ef")).transpose()?,
        exact: params.exact.unwrap_or(false),
        quantization: None,
        indexed_only: params.indexed_only.unwrap_or(false),
        acorn: None,
    }))
}

/// The engine reserves room for offset and limit, so both are kept to a size that can exist.
const SIZE_LIMIT: u64 = 1_000_000;

pub(super) fn size(value: u64, field: &str) -> Checked<usize> {
    usize::try_from(value)
        .ok()
        .filter(|_| value <= SIZE_LIMIT)
        .ok_or_else(|| Status::invalid_argument(format!("{field} is {value}: 0 to {SIZE_LIMIT} are allowed")))
}
