//! ONNX models through ONNX Runtime: one session an instance, since a session runs one batch at a time.

use std::borrow::Cow;

use ort::{
    session::{
        Session, SessionInputValue,
        builder::{GraphOptimizationLevel, PrepackedWeights},
    },
    value::{DynValue, Outlet, TensorElementType, TensorRef, Value},
};

use super::{Backend, BackendFactory, OnnxRuntime};
use crate::{
    DataType, Error, ModelBytes, NamedTensor, Result, ServingConfig, Signature, Tensor, TensorData, TensorSpec,
};

/// Builds sessions of one model.
pub(super) struct OnnxFactory {
    runtime: OnnxRuntime,
    model: ModelBytes,
    signature: Signature,
    intra_threads: usize,
    /// Kernel-ready copies of the weights, which the instances share; of no use to a lone instance.
    prepacked: Option<PrepackedWeights>,
}

impl OnnxFactory {
    pub(super) fn new(runtime: OnnxRuntime, model: ModelBytes, signature: Signature, config: &ServingConfig) -> Self {
        let prepacked = (config.instances > 1).then(PrepackedWeights::new);
        OnnxFactory { runtime, model, signature, intra_threads: config.intra_threads, prepacked }
    }

    /// The session itself, apart so that every step's error converts to `ort::Error`.
    fn session(&self, model: &[u8]) -> ort::Result<Session> {
        let mut builder = Session::builder(self.runtime.environment())?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(self.intra_threads)?
            .with_inter_threads(1)?
            // Spinning threads burn a core each while they wait for work.
            .with_intra_op_spinning(false)?
            .with_inter_op_spinning(false)?;
        if let Some(prepacked) = &self.prepacked {
            builder = builder.with_prepacked_weights(prepacked)?;
        }
        builder.commit_from_memory(model)
    }
}

impl BackendFactory for OnnxFactory {
    fn platform(&self) -> &str {
        "onnxruntime_onnx"
    }

    fn create(&self) -> Result<Box<dyn Backend>> {
        let session = self.session(&self.model.read()?)?;
        check_outlets("input", &self.signature.inputs, session.inputs())?;
        check_outlets("output", &self.signature.outputs, session.outputs())?;
        let outputs = self.signature.outputs.iter().map(|spec| spec.name.clone()).collect();
        Ok(Box::new(OnnxBackend { session, outputs }))
    }
}

struct OnnxBackend {
    session: Session,
    /// The outputs that the signature names, which may be fewer than the graph gives.
    outputs: Vec<String>,
}

impl Backend for OnnxBackend {
    fn infer(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>> {
        let values = inputs
            .iter()
            .map(|input| Ok((Cow::Borrowed(input.name.as_str()), to_value(input)?)))
            .collect::<Result<Vec<(Cow<'_, str>, SessionInputValue<'_>)>>>()?;
        let outputs = self.session.run(values)?;
        self.outputs
            .iter()
            .filter_map(|name| outputs.get(name).map(|value| Ok(NamedTensor::new(name, from_value(name, value)?))))
            .collect()
    }
}

/// A view of the tensor, without a copy except for strings.
fn to_value(input: &NamedTensor) -> Result<SessionInputValue<'_>> {
    let shape = input.tensor.shape();
    macro_rules! view {
        ($values:expr) => {
            TensorRef::from_array_view((shape, $values.as_slice()))?.into()
        };
    }
    Ok(match input.tensor.data() {
        TensorData::Bool(values) => view!(values),
        TensorData::U8(values) => view!(values),
        TensorData::U16(values) => view!(values),
        TensorData::U32(values) => view!(values),
        TensorData::U64(values) => view!(values),
        TensorData::I8(values) => view!(values),
        TensorData::I16(values) => view!(values),
        TensorData::I32(values) => view!(values),
        TensorData::I64(values) => view!(values),
        TensorData::F32(values) => view!(values),
        TensorData::F64(values) => view!(values),
        TensorData::F16(_) | TensorData::Bf16(_) => return Err(half_precision(&input.name)),
        TensorData::Bytes(values) => {
            let strings = values
                .iter()
                .map(|value| std::str::from_utf8(value).map(str::to_owned))
                .collect::<Result<Vec<String>, _>>()
                .map_err(|error| Error::InvalidInput {
                    input: input.name.clone(),
                    got: format!("bytes that are not UTF-8 ({error})"),
                    allowed: "UTF-8 text, which is what ONNX strings hold".to_owned(),
                })?;
            Value::from_string_array((shape, strings.as_slice()))?.into()
        }
    })
}

fn from_value(name: &str, value: &DynValue) -> Result<Tensor> {
    macro_rules! copy {
        ($element:ty) => {{
            let (shape, values) = value.try_extract_tensor::<$element>()?;
            Tensor::new(axes(shape), values.to_vec())
        }};
    }
    match value.dtype().tensor_type() {
        Some(TensorElementType::Bool) => copy!(bool),
        Some(TensorElementType::Uint8) => copy!(u8),
        Some(TensorElementType::Uint16) => copy!(u16),
        Some(TensorElementType::Uint32) => copy!(u32),
        Some(TensorElementType::Uint64) => copy!(u64),
        Some(TensorElementType::Int8) => copy!(i8),
        Some(TensorElementType::Int16) => copy!(i16),
        Some(TensorElementType::Int32) => copy!(i32),
        Some(TensorElementType::Int64) => copy!(i64),
        Some(TensorElementType::Float32) => copy!(f32),
        Some(TensorElementType::Float64) => copy!(f64),
        Some(TensorElementType::String) => {
            let (shape, strings) = value.try_extract_strings()?;
            Tensor::new(axes(shape), strings.into_iter().map(String::into_bytes).collect::<Vec<_>>())
        }
        Some(TensorElementType::Float16 | TensorElementType::Bfloat16) => Err(half_precision(name)),
        other => Err(Error::Unsupported { what: format!("tensor '{name}' of ONNX type {other:?}") }),
    }
}

/// An ONNX shape as lengths; a run's result has no free axes.
fn axes(shape: &[i64]) -> Vec<usize> {
    shape.iter().map(|&axis| usize::try_from(axis).unwrap_or_default()).collect()
}

fn half_precision(name: &str) -> Error {
    Error::Unsupported { what: format!("half precision tensor '{name}' with the onnx backend") }
}

/// Compares what the signature promises with what the graph declares, so that a wrong signature fails at the load.
fn check_outlets(kind: &str, specs: &[TensorSpec], outlets: &[Outlet]) -> Result<()> {
    for spec in specs {
        let Some(outlet) = outlets.iter().find(|outlet| outlet.name() == spec.name) else {
            let known = outlets.iter().map(Outlet::name).collect::<Vec<_>>().join(", ");
            return Err(mismatch(kind, spec, &format!("a graph with {kind}s {known}")));
        };
        let declared = outlet.dtype();
        let data_type = declared.tensor_type().and_then(data_type);
        let shape = declared.tensor_shape().map(|shape| shape.to_vec()).unwrap_or_default();
        let axes_agree = shape.len() == spec.shape.len()
            && shape.iter().zip(&spec.shape).all(|(&graph, &promised)| graph < 0 || promised < 0 || graph == promised);
        // The graph's rank is unknown to ONNX when it declares no shape at all.
        if data_type != Some(spec.data_type) || !(shape.is_empty() || axes_agree) {
            return Err(mismatch(kind, spec, &format!("{declared}")));
        }
    }
    match outlets.iter().find(|outlet| kind == "input" && !specs.iter().any(|spec| spec.name == outlet.name())) {
        Some(outlet) => Err(Error::InvalidField {
            field: "signature.inputs".to_owned(),
            got: "no such input".to_owned(),
            allowed: format!("every input of the graph, among them '{}'", outlet.name()),
        }),
        None => Ok(()),
    }
}

fn mismatch(kind: &str, spec: &TensorSpec, declared: &str) -> Error {
    Error::InvalidField {
        field: format!("signature {kind} '{}'", spec.name),
        got: format!("{} {:?}", spec.data_type, spec.shape),
        allowed: format!("what the graph declares: {declared}"),
    }
}

fn data_type(element: TensorElementType) -> Option<DataType> {
    Some(match element {
        TensorElementType::Bool => DataType::Bool,
        TensorElementType::Uint8 => DataType::U8,
        TensorElementType::Uint16 => DataType::U16,
        TensorElementType::Uint32 => DataType::U32,
        TensorElementType::Uint64 => DataType::U64,
        TensorElementType::Int8 => DataType::I8,
        TensorElementType::Int16 => DataType::I16,
        TensorElementType::Int32 => DataType::I32,
        TensorElementType::Int64 => DataType::I64,
        TensorElementType::Float32 => DataType::F32,
        TensorElementType::Float64 => DataType::F64,
        TensorElementType::String => DataType::Bytes,
        _ => return None,
    })
}
