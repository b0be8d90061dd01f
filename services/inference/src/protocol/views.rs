//! What the protocol reports about the server: metadata, configuration, statistics and the repository's index. Built once
//! as protobuf messages; HTTP writes the same as JSON.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::proto::{
    self, ModelConfig, ModelDynamicBatching, ModelInput, ModelInstanceGroup, ModelMetadataResponse, ModelOutput,
    ModelParameter, ModelStatistics, model_metadata_response::TensorMetadata, repository_index_response::ModelIndex,
};
use crate::{
    DataType, Error, Inference, ModelServer, ModelState, ModelStatus, NamedTensor, Result, Span, TensorSpec,
    model::LoadedModel, signature::invalid,
};

/// Name under which the server reports itself.
pub(super) const SERVER_NAME: &str = "moneta";
/// The server's version: the workspace's.
pub(super) const SERVER_VERSION: &str = env!("CARGO_PKG_VERSION");
/// The extensions that both transports serve.
pub(super) const EXTENSIONS: &[&str] =
    &["model_configuration", "model_repository", "statistics", "schedule_policy", "parameters"];
/// The extension of the HTTP transport alone.
pub(super) const HTTP_EXTENSION: &str = "binary_tensor_data";

/// A version or alias from a URL or message, where empty means none.
pub(super) fn optional(version: &str) -> Option<&str> {
    (!version.is_empty()).then_some(version)
}

pub(super) fn metadata(server: &ModelServer, model: &str, version: Option<&str>) -> Result<ModelMetadataResponse> {
    let catalog = server.read();
    let loaded = catalog.resolve(model, version)?;
    let versions = match version {
        Some(_) => vec![loaded.version.clone()],
        None => catalog.ready(Some(model)).iter().map(|loaded| loaded.version.clone()).collect(),
    };
    let tensors = |specs: &[TensorSpec]| {
        let tensor = |spec: &TensorSpec| TensorMetadata {
            name: spec.name.clone(),
            datatype: spec.data_type.name().to_owned(),
            shape: spec.shape.clone(),
        };
        specs.iter().map(tensor).collect()
    };
    Ok(ModelMetadataResponse {
        name: model.to_owned(),
        versions,
        platform: loaded.platform.clone(),
        inputs: tensors(&loaded.signature.inputs),
        outputs: tensors(&loaded.signature.outputs),
    })
}

pub(super) fn config(server: &ModelServer, model: &str, version: Option<&str>) -> Result<ModelConfig> {
    let loaded = server.read().resolve(model, version)?;
    let batchable = loaded.signature.is_batchable();
    let dims = |spec: &TensorSpec| spec.shape.iter().skip(usize::from(batchable)).copied().collect();
    let inputs = loaded.signature.inputs.iter().map(|spec| ModelInput {
        name: spec.name.clone(),
        data_type: config_type(spec.data_type).into(),
        dims: dims(spec),
    });
    let outputs = loaded.signature.outputs.iter().map(|spec| ModelOutput {
        name: spec.name.clone(),
        data_type: config_type(spec.data_type).into(),
        dims: dims(spec),
    });
    let max_batch = i32::try_from(loaded.config.max_batch).unwrap_or(i32::MAX);
    let delay = u64::try_from(loaded.config.max_delay.as_micros()).unwrap_or(u64::MAX);
    Ok(ModelConfig {
        name: loaded.name.clone(),
        platform: loaded.platform.clone(),
        backend: loaded.platform.split('_').next().unwrap_or_default().to_owned(),
        max_batch_size: if batchable { max_batch } else { 0 },
        input: inputs.collect(),
        output: outputs.collect(),
        instance_group: vec![ModelInstanceGroup {
            name: loaded.name.clone(),
            count: i32::try_from(loaded.config.instances).unwrap_or(i32::MAX),
            kind: proto::model_instance_group::Kind::Cpu.into(),
        }],
        dynamic_batching: batchable.then_some(ModelDynamicBatching { max_queue_delay_microseconds: delay }),
        parameters: HashMap::from([("digest".to_owned(), ModelParameter { string_value: loaded.digest.clone() })]),
    })
}

/// Statistics of one version, of every version of a model, or of every model.
pub(super) fn statistics(
    server: &ModelServer,
    model: Option<&str>,
    version: Option<&str>,
) -> Result<Vec<ModelStatistics>> {
    let catalog = server.read();
    let versions: Vec<Arc<LoadedModel>> = match (model, version) {
        (Some(model), Some(version)) => vec![catalog.resolve(model, Some(version))?],
        (Some(model), None) => {
            catalog.resolve(model, None)?;
            catalog.ready(Some(model))
        }
        (None, _) => catalog.ready(None),
    };
    Ok(versions.iter().map(|loaded| version_statistics(loaded)).collect())
}

fn version_statistics(loaded: &LoadedModel) -> ModelStatistics {
    let statistics = loaded.statistics();
    let duration = |span: Span| Some(proto::StatisticDuration { count: span.count, ns: span.nanoseconds });
    ModelStatistics {
        name: loaded.name.clone(),
        version: loaded.version.clone(),
        last_inference: statistics.last_inference,
        inference_count: statistics.inference_count,
        execution_count: statistics.execution_count,
        inference_stats: Some(proto::InferStatistics {
            success: duration(statistics.success),
            fail: duration(statistics.fail),
            queue: duration(statistics.queue),
            compute_input: duration(statistics.compute_input),
            compute_infer: duration(statistics.compute_infer),
            compute_output: duration(statistics.compute_output),
            cache_hit: duration(Span::default()),
            cache_miss: duration(Span::default()),
        }),
        batch_stats: statistics
            .batches
            .iter()
            .map(|(&batch_size, batch)| proto::InferBatchStatistics {
                batch_size,
                compute_input: duration(batch.compute_input),
                compute_infer: duration(batch.compute_infer),
                compute_output: duration(batch.compute_output),
            })
            .collect(),
    }
}

/// What the repository could deliver and what is loaded, by model and version.
pub(super) async fn repository_index(server: &ModelServer, repository: &str, ready: bool) -> Result<Vec<ModelIndex>> {
    check_repository(repository)?;
    let mut index = BTreeMap::new();
    if let Ok(repository) = server.repository() {
        for known in repository.index().await? {
            let entry = (ModelState::Unavailable, "not loaded".to_owned());
            index.insert((known.model, known.version), entry);
        }
    }
    for ModelStatus { model, version, state, reason, .. } in server.models() {
        index.insert((model, version), (state, reason));
    }
    let wanted = index.into_iter().filter(|(_, (state, _))| !ready || *state == ModelState::Ready);
    Ok(wanted
        .map(|((name, version), (state, reason))| ModelIndex { name, version, state: state.name().to_owned(), reason })
        .collect())
}

/// There is one repository, which has no name.
pub(super) fn check_repository(repository: &str) -> Result<()> {
    match repository {
        "" => Ok(()),
        other => Err(invalid("repository_name", &format!("'{other}'"), "the empty name (there is one repository)")),
    }
}

/// Loads a model by name; `parameters` are the names of what the client wants changed on the way.
pub(super) async fn load<'a>(
    server: &ModelServer,
    model: &str,
    parameters: impl Iterator<Item = &'a str>,
) -> Result<()> {
    if let Some(name) = parameters.into_iter().next() {
        // A configuration or files given by a client would bypass what the registry recorded about the version.
        return Err(Error::Unsupported { what: format!("parameters.{name} of a model load") });
    }
    check_kept(server, model)?;
    server.load_from_repository(model).await
}

/// Unloads a model at a client's request.
pub(super) async fn unload(server: &ModelServer, model: &str) -> Result<()> {
    check_kept(server, model)?;
    server.unload_model(model).await
}

fn check_kept(server: &ModelServer, model: &str) -> Result<()> {
    if server.options.kept.iter().any(|kept| kept == model) {
        return Err(Error::InUse { model: model.to_owned() });
    }
    Ok(())
}

fn config_type(data_type: DataType) -> proto::DataType {
    match data_type {
        DataType::Bool => proto::DataType::TypeBool,
        DataType::U8 => proto::DataType::TypeUint8,
        DataType::U16 => proto::DataType::TypeUint16,
        DataType::U32 => proto::DataType::TypeUint32,
        DataType::U64 => proto::DataType::TypeUint64,
        DataType::I8 => proto::DataType::TypeInt8,
        DataType::I16 => proto::DataType::TypeInt16,
        DataType::I32 => proto::DataType::TypeInt32,
        DataType::I64 => proto::DataType::TypeInt64,
        DataType::F16 => proto::DataType::TypeFp16,
        DataType::Bf16 => proto::DataType::TypeBf16,
        DataType::F32 => proto::DataType::TypeFp32,
        DataType::F64 => proto::DataType::TypeFp64,
        DataType::Bytes => proto::DataType::TypeString,
    }
}

/// Parameter of a response that holds the digest of the model that answered.
pub(super) const DIGEST_PARAMETER: &str = "model_digest";

/// The outputs a client asked for, in its order; all of them when it named none.
pub(super) fn choose_outputs<'a>(inference: &'a Inference, names: &[String]) -> Result<Vec<&'a NamedTensor>> {
    if names.is_empty() {
        return Ok(inference.outputs.iter().collect());
    }
    let find = |name: &String| {
        // The look-up gives the error that names the outputs there are.
        inference.output(name)?;
        Ok(inference.outputs.iter().find(|output| output.name == *name))
    };
    Ok(names.iter().map(find).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// A data type by the protocol's name.
pub(super) fn data_type(input: &str, name: &str) -> Result<DataType> {
    DataType::from_name(name).ok_or_else(|| Error::InvalidInput {
        input: input.to_owned(),
        got: format!("datatype '{name}'"),
        allowed: DataType::names(),
    })
}

/// A shape as the client wrote it; a request has no free axes.
pub(super) fn shape(input: &str, shape: &[i64]) -> Result<Vec<usize>> {
    let axis = |&axis: &i64| {
        usize::try_from(axis).map_err(|_| Error::InvalidInput {
            input: input.to_owned(),
            got: format!("axis {axis} in the shape"),
            allowed: "lengths from 0".to_owned(),
        })
    };
    shape.iter().map(axis).collect()
}
