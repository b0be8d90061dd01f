//! The collections service of Qdrant's protocol.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use qdrant_client::qdrant::{
    self, ChangeAliases, CollectionClusterInfoRequest, CollectionClusterInfoResponse, CollectionConfig,
    CollectionDescription, CollectionExists, CollectionExistsRequest, CollectionExistsResponse, CollectionInfo,
    CollectionOperationResponse, CollectionParams, CollectionStatus, CreateCollection, CreateShardKeyRequest,
    CreateShardKeyResponse, DeleteCollection, DeleteShardKeyRequest, DeleteShardKeyResponse, GetCollectionInfoRequest,
    GetCollectionInfoResponse, HnswConfigDiff, ListAliasesRequest, ListAliasesResponse, ListCollectionAliasesRequest,
    ListCollectionsRequest, ListCollectionsResponse, ListShardKeysRequest, ListShardKeysResponse, OptimizerStatus,
    PayloadSchemaInfo, PayloadSchemaType as ProtoSchemaType, UpdateCollection, UpdateCollectionClusterSetupRequest,
    UpdateCollectionClusterSetupResponse, VectorParams, VectorParamsMap, VectorsConfig,
    collections_server::Collections, vectors_config::Config,
};
use qdrant_edge::{Distance, EdgeShard, HnswIndexConfig, OperationError, PayloadSchemaType};
use tonic::{Request, Response, Status};

use super::convert::{refuse_field, unimplemented};
use super::server::blocking;
use super::store::{Collection, CollectionSpec, Store, VectorSpec};

type Reply<T> = Result<Response<T>, Status>;

/// The largest vector that Qdrant accepts.
const VECTOR_SIZE_LIMIT: u64 = 65_536;

pub(super) struct CollectionsService {
    pub store: Arc<Store>,
}

fn done(started: Instant) -> Response<CollectionOperationResponse> {
    Response::new(CollectionOperationResponse { result: true, time: started.elapsed().as_secs_f64() })
}

#[tonic::async_trait]
impl Collections for CollectionsService {
    async fn get(&self, request: Request<GetCollectionInfoRequest>) -> Reply<GetCollectionInfoResponse> {
        let started = Instant::now();
        let collection = self.store.get(&request.into_inner().collection_name)?;
        let info = blocking(move || info(&collection)).await?;
        Ok(Response::new(GetCollectionInfoResponse { result: Some(info), time: started.elapsed().as_secs_f64() }))
    }

    async fn list(&self, _request: Request<ListCollectionsRequest>) -> Reply<ListCollectionsResponse> {
        let started = Instant::now();
        let collections = self.store.names().into_iter().map(|name| CollectionDescription { name }).collect();
        Ok(Response::new(ListCollectionsResponse { collections, time: started.elapsed().as_secs_f64() }))
    }

    async fn create(&self, request: Request<CreateCollection>) -> Reply<CollectionOperationResponse> {
        let started = Instant::now();
        let spec = spec(request.into_inner())?;
        let store = Arc::clone(&self.store);
        blocking(move || store.create(spec)).await?;
        Ok(done(started))
    }

    async fn update(&self, request: Request<UpdateCollection>) -> Reply<CollectionOperationResponse> {
        let started = Instant::now();
        let request = request.into_inner();
        refuse_field(request.optimizers_config.is_some(), "optimizers_config")?;
        refuse_field(request.params.is_some(), "params")?;
        refuse_field(request.vectors_config.is_some(), "vectors_config")?;
        refuse_field(request.quantization_config.is_some(), "quantization_config")?;
        refuse_field(request.sparse_vectors_config.is_some(), "sparse_vectors_config")?;
        refuse_field(request.strict_mode_config.is_some(), "strict_mode_config")?;
        refuse_field(!request.metadata.is_empty(), "metadata")?;
        let collection = self.store.get(&request.collection_name)?;
        if let Some(diff) = request.hnsw_config {
            blocking(move || collection.read(|shard| update_hnsw(shard, &diff))).await?;
        }
        Ok(done(started))
    }

    async fn delete(&self, request: Request<DeleteCollection>) -> Reply<CollectionOperationResponse> {
        let started = Instant::now();
        let name = request.into_inner().collection_name;
        let store = Arc::clone(&self.store);
        let result = blocking(move || store.delete(&name)).await?;
        Ok(Response::new(CollectionOperationResponse { result, time: started.elapsed().as_secs_f64() }))
    }

    async fn collection_exists(&self, request: Request<CollectionExistsRequest>) -> Reply<CollectionExistsResponse> {
        let started = Instant::now();
        let exists = self.store.find(&request.into_inner().collection_name).is_some();
        let result = Some(CollectionExists { exists });
        Ok(Response::new(CollectionExistsResponse { result, time: started.elapsed().as_secs_f64() }))
    }

    async fn update_aliases(&self, _request: Request<ChangeAliases>) -> Reply<CollectionOperationResponse> {
        Err(unimplemented("method Collections/UpdateAliases"))
    }

    async fn list_collection_aliases(
        &self,
        _request: Request<ListCollectionAliasesRequest>,
    ) -> Reply<ListAliasesResponse> {
        Err(unimplemented("method Collections/ListCollectionAliases"))
    }

    async fn list_aliases(&self, _request: Request<ListAliasesRequest>) -> Reply<ListAliasesResponse> {
        Err(unimplemented("method Collections/ListAliases"))
    }

    async fn collection_cluster_info(
        &self,
        _request: Request<CollectionClusterInfoRequest>,
    ) -> Reply<CollectionClusterInfoResponse> {
        Err(unimplemented("method Collections/CollectionClusterInfo"))
    }

    async fn update_collection_cluster_setup(
        &self,
        _request: Request<UpdateCollectionClusterSetupRequest>,
    ) -> Reply<UpdateCollectionClusterSetupResponse> {
        Err(unimplemented("method Collections/UpdateCollectionClusterSetup"))
    }

    async fn create_shard_key(&self, _request: Request<CreateShardKeyRequest>) -> Reply<CreateShardKeyResponse> {
        Err(unimplemented("method Collections/CreateShardKey"))
    }

    async fn delete_shard_key(&self, _request: Request<DeleteShardKeyRequest>) -> Reply<DeleteShardKeyResponse> {
        Err(unimplemented("method Collections/DeleteShardKey"))
    }

    async fn list_shard_keys(&self, _request: Request<ListShardKeysRequest>) -> Reply<ListShardKeysResponse> {
        Err(unimplemented("method Collections/ListShardKeys"))
    }
}

/// Reads a creation request. Tuning that has no meaning on one embedded shard (optimizer and write-ahead-log settings)
/// is accepted at any value; what would change results or promises (quantization, sharding) is refused.
#[allow(deprecated, reason = "clients of the present protocol still send and read these fields")]
fn spec(request: CreateCollection) -> Result<CollectionSpec, Status> {
    refuse_field(request.quantization_config.is_some(), "quantization_config")?;
    refuse_field(request.sparse_vectors_config.is_some_and(|sparse| !sparse.map.is_empty()), "sparse_vectors_config")?;
    refuse_field(request.strict_mode_config.is_some(), "strict_mode_config")?;
    refuse_field(request.sharding_method.is_some_and(|method| method != 0), "sharding_method")?;
    refuse_field(request.shard_number.is_some_and(|number| number > 1), "shard_number")?;
    refuse_field(request.replication_factor.is_some_and(|factor| factor > 1), "replication_factor")?;
    refuse_field(!request.metadata.is_empty(), "metadata")?;
    let vectors = match request.vectors_config.and_then(|config| config.config) {
        Some(Config::Params(params)) => BTreeMap::from([(String::new(), vector_spec(&params)?)]),
        Some(Config::ParamsMap(named)) => named
            .map
            .iter()
            .map(|(name, params)| Ok((name.clone(), vector_spec(params)?)))
            .collect::<Result<_, Status>>()?,
        None => BTreeMap::new(),
    };
    Ok(CollectionSpec {
        name: request.collection_name,
        vectors,
        on_disk_payload: request.on_disk_payload.unwrap_or(true),
    })
}

#[allow(deprecated, reason = "clients of the present protocol still send and read these fields")]
fn vector_spec(params: &VectorParams) -> Result<VectorSpec, Status> {
    refuse_field(params.quantization_config.is_some(), "vectors_config.quantization_config")?;
    refuse_field(params.multivector_config.is_some(), "vectors_config.multivector_config")?;
    let plain_floats = params
        .datatype
        .is_none_or(|kind| kind == qdrant::Datatype::Default as i32 || kind == qdrant::Datatype::Float32 as i32);
    refuse_field(!plain_floats, "vectors_config.datatype")?;
    let size = usize::try_from(params.size).ok().filter(|_| (1..=VECTOR_SIZE_LIMIT).contains(&params.size));
    let size = size.ok_or_else(|| {
        Status::invalid_argument(format!(
            "vectors_config.size is {}: 1 to {VECTOR_SIZE_LIMIT} are allowed",
            params.size
        ))
    })?;
    let distance = match qdrant::Distance::try_from(params.distance) {
        Ok(qdrant::Distance::Cosine) => Distance::Cosine,
        Ok(qdrant::Distance::Euclid) => Distance::Euclid,
        Ok(qdrant::Distance::Dot) => Distance::Dot,
        Ok(qdrant::Distance::Manhattan) => Distance::Manhattan,
        Ok(qdrant::Distance::UnknownDistance) | Err(_) => {
            return Err(Status::invalid_argument(format!(
                "vectors_config.distance is {}: Cosine (1), Euclid (2), Dot (3) or Manhattan (4)",
                params.distance
            )));
        }
    };
    Ok(VectorSpec { size, distance, on_disk: params.on_disk })
}

#[allow(deprecated, reason = "clients of the present protocol still send and read these fields")]
fn update_hnsw(shard: &EdgeShard, diff: &HnswConfigDiff) -> Result<(), OperationError> {
    let current = shard.config().hnsw_config;
    let chosen = |value: Option<u64>, old: usize| value.and_then(|value| usize::try_from(value).ok()).unwrap_or(old);
    shard.set_hnsw_config(HnswIndexConfig {
        m: chosen(diff.m, current.m),
        ef_construct: chosen(diff.ef_construct, current.ef_construct),
        full_scan_threshold: chosen(diff.full_scan_threshold, current.full_scan_threshold),
        max_indexing_threads: chosen(diff.max_indexing_threads, current.max_indexing_threads),
        on_disk: diff.on_disk.or(current.on_disk),
        ..current
    })
}

#[allow(deprecated, reason = "clients of the present protocol still send and read these fields")]
fn info(collection: &Collection) -> Result<CollectionInfo, Status> {
    let (shard_info, hnsw) = collection.read(|shard| Ok((shard.info(), shard.config().hnsw_config)))?;
    let payload_schema = shard_info.payload_schema.into_iter().map(|(path, index)| {
        let data_type = proto_schema_type(index.data_type) as i32;
        (path.to_string(), PayloadSchemaInfo { data_type, params: None, points: Some(index.points as u64) })
    });
    let params = CollectionParams {
        shard_number: 1,
        on_disk_payload: collection.spec.on_disk_payload,
        vectors_config: Some(vectors_config(&collection.spec)),
        replication_factor: Some(1),
        write_consistency_factor: Some(1),
        ..CollectionParams::default()
    };
    let hnsw = HnswConfigDiff {
        m: Some(hnsw.m as u64),
        ef_construct: Some(hnsw.ef_construct as u64),
        full_scan_threshold: Some(hnsw.full_scan_threshold as u64),
        max_indexing_threads: Some(hnsw.max_indexing_threads as u64),
        on_disk: hnsw.on_disk,
        ..HnswConfigDiff::default()
    };
    Ok(CollectionInfo {
        status: CollectionStatus::Green as i32,
        optimizer_status: Some(OptimizerStatus { ok: true, error: String::new() }),
        segments_count: shard_info.segments_count as u64,
        config: Some(CollectionConfig { params: Some(params), hnsw_config: Some(hnsw), ..CollectionConfig::default() }),
        payload_schema: payload_schema.collect(),
        points_count: Some(shard_info.points_count as u64),
        indexed_vectors_count: Some(shard_info.indexed_vectors_count as u64),
        ..CollectionInfo::default()
    })
}

#[allow(deprecated, reason = "clients of the present protocol still send and read these fields")]
fn vectors_config(spec: &CollectionSpec) -> VectorsConfig {
    let params = |spec: &VectorSpec| VectorParams {
        size: spec.size as u64,
        distance: match spec.distance {
            Distance::Cosine => qdrant::Distance::Cosine,
            Distance::Euclid => qdrant::Distance::Euclid,
            Distance::Dot => qdrant::Distance::Dot,
            Distance::Manhattan => qdrant::Distance::Manhattan,
        } as i32,
        on_disk: spec.on_disk,
        ..VectorParams::default()
    };
    let config = match spec.vectors.get("") {
        Some(unnamed) if spec.vectors.len() == 1 => Config::Params(params(unnamed)),
        _ => Config::ParamsMap(VectorParamsMap {
            map: spec.vectors.iter().map(|(name, spec)| (name.clone(), params(spec))).collect(),
        }),
    };
    VectorsConfig { config: Some(config) }
}

fn proto_schema_type(kind: PayloadSchemaType) -> ProtoSchemaType {
    match kind {
        PayloadSchemaType::Keyword => ProtoSchemaType::Keyword,
        PayloadSchemaType::Integer => ProtoSchemaType::Integer,
        PayloadSchemaType::Float => ProtoSchemaType::Float,
        PayloadSchemaType::Geo => ProtoSchemaType::Geo,
        PayloadSchemaType::Text => ProtoSchemaType::Text,
        PayloadSchemaType::Bool => ProtoSchemaType::Bool,
        PayloadSchemaType::Datetime => ProtoSchemaType::Datetime,
        PayloadSchemaType::Uuid => ProtoSchemaType::Uuid,
    }
}
