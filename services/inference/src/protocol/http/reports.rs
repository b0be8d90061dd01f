//! The reports as JSON, in the form that Triton's clients read.

use serde_json::{Map, Value, json};

use super::super::proto::{
    self, InferStatistics, ModelConfig, ModelMetadataResponse, ModelStatistics, StatisticDuration,
    model_metadata_response::TensorMetadata, repository_index_response::ModelIndex,
};

pub(super) fn metadata(metadata: &ModelMetadataResponse) -> Value {
    let tensors = |tensors: &[TensorMetadata]| -> Value {
        tensors.iter().map(|one| json!({"name": one.name, "datatype": one.datatype, "shape": one.shape})).collect()
    };
    json!({
        "name": metadata.name,
        "versions": metadata.versions,
        "platform": metadata.platform,
        "inputs": tensors(&metadata.inputs),
        "outputs": tensors(&metadata.outputs),
    })
}

pub(super) fn config(config: &ModelConfig) -> Value {
    let data_type = |value: i32| proto::DataType::try_from(value).unwrap_or_default().as_str_name();
    let tensor =
        |name: &str, value: i32, dims: &[i64]| json!({"name": name, "data_type": data_type(value), "dims": dims});
    let inputs: Value = config.input.iter().map(|input| tensor(&input.name, input.data_type, &input.dims)).collect();
    let outputs: Value =
        config.output.iter().map(|output| tensor(&output.name, output.data_type, &output.dims)).collect();
    let groups: Value = config
        .instance_group
        .iter()
        .map(|group| json!({"name": group.name, "count": group.count, "kind": group.kind().as_str_name()}))
        .collect();
    let parameters: Map<String, Value> = config
        .parameters
        .iter()
        .map(|(name, parameter)| (name.clone(), json!({"string_value": parameter.string_value})))
        .collect();
    let mut report = json!({
        "name": config.name,
        "platform": config.platform,
        "backend": config.backend,
        "max_batch_size": config.max_batch_size,
        "input": inputs,
        "output": outputs,
        "instance_group": groups,
        "parameters": parameters,
    });
    if let Some(batching) = &config.dynamic_batching {
        report["dynamic_batching"] = json!({"max_queue_delay_microseconds": batching.max_queue_delay_microseconds});
    }
    report
}

pub(super) fn statistics(statistics: &[ModelStatistics]) -> Value {
    let models: Value = statistics.iter().map(model_statistics).collect();
    json!({"model_stats": models})
}

fn model_statistics(statistics: &ModelStatistics) -> Value {
    let batches: Value = statistics
        .batch_stats
        .iter()
        .map(|batch| {
            json!({
                "batch_size": batch.batch_size,
                "compute_input": duration(batch.compute_input.as_ref()),
                "compute_infer": duration(batch.compute_infer.as_ref()),
                "compute_output": duration(batch.compute_output.as_ref()),
            })
        })
        .collect();
    let inference = statistics.inference_stats.unwrap_or_default();
    json!({
        "name": statistics.name,
        "version": statistics.version,
        "last_inference": statistics.last_inference,
        "inference_count": statistics.inference_count,
        "execution_count": statistics.execution_count,
        "inference_stats": inference_statistics(&inference),
        "batch_stats": batches,
    })
}

fn inference_statistics(statistics: &InferStatistics) -> Value {
    json!({
        "success": duration(statistics.success.as_ref()),
        "fail": duration(statistics.fail.as_ref()),
        "queue": duration(statistics.queue.as_ref()),
        "compute_input": duration(statistics.compute_input.as_ref()),
        "compute_infer": duration(statistics.compute_infer.as_ref()),
        "compute_output": duration(statistics.compute_output.as_ref()),
        "cache_hit": duration(statistics.cache_hit.as_ref()),
        "cache_miss": duration(statistics.cache_miss.as_ref()),
    })
}

fn duration(duration: Option<&StatisticDuration>) -> Value {
    let StatisticDuration { count, ns } = duration.copied().unwrap_or_default();
    json!({"count": count, "ns": ns})
}

pub(super) fn index(index: &[ModelIndex]) -> Value {
    index
        .iter()
        .map(|entry| {
            let mut report = json!({"name": entry.name, "version": entry.version, "state": entry.state});
            if !entry.reason.is_empty() {
                report["reason"] = entry.reason.clone().into();
            }
            report
        })
        .collect()
}
