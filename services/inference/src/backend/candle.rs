//! Networks defined in candle, with their weights from safetensors.
//!
//! The server knows no network itself: whoever defines one registers a [`CandleArchitecture`] under a name, and a
//! model's source names it.

use candle_core::{DType, Device};
use candle_nn::VarBuilder;

use super::{Backend, BackendFactory};
use crate::{DataType, Error, ModelBytes, NamedTensor, Result, Signature, Tensor, TensorData, TensorSpec};

/// A kind of network that models may name, and how it is built from settings and weights.
#[derive(Clone, Copy)]
pub struct CandleArchitecture {
    /// The name by which a model's source asks for it.
    pub name: &'static str,
    /// The type its weights are read as.
    pub dtype: DType,
    /// Builds the network from its weights and its `config.json`.
    pub build: fn(VarBuilder<'_>, &serde_json::Value) -> candle_core::Result<Box<dyn CandleModule>>,
}

/// A network ready to run. It changes nothing in itself: the same inputs give the same outputs.
pub trait CandleModule: Send {
    /// Runs the network and names its outputs.
    ///
    /// # Errors
    /// Those of candle's operations.
    fn forward(&self, inputs: &CandleInputs) -> candle_core::Result<Vec<(String, candle_core::Tensor)>>;
}

/// The inputs of a run, by name, in the signature's order.
pub struct CandleInputs(Vec<(String, candle_core::Tensor)>);

impl CandleInputs {
    /// The input of that name.
    ///
    /// # Errors
    /// A message naming the input when the signature lacks it.
    pub fn get(&self, name: &str) -> candle_core::Result<&candle_core::Tensor> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, tensor)| tensor).ok_or_else(|| candle_core::Error::msg(format!("no input is named '{name}'")))
    }

    /// Every input with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &candle_core::Tensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }
}

/// Builds instances of one network.
pub(super) struct CandleFactory {
    architecture: CandleArchitecture,
    config: serde_json::Value,
    weights: ModelBytes,
    signature: Signature,
}

impl CandleFactory {
    pub(super) fn new(
        architecture: CandleArchitecture,
        config: serde_json::Value,
        weights: ModelBytes,
        signature: Signature,
    ) -> Result<Self> {
        for spec in signature.inputs.iter().chain(&signature.outputs) {
            if !is_supported(spec.data_type) {
                return Err(unsupported(spec.data_type, &spec.name));
            }
        }
        Ok(CandleFactory { architecture, config, weights, signature })
    }
}

impl BackendFactory for CandleFactory {
    fn platform(&self) -> &str {
        "candle_safetensors"
    }

    fn create(&self) -> Result<Box<dyn Backend>> {
        let weights = self.weights.read()?;
        let variables = VarBuilder::from_slice_safetensors(&weights, self.architecture.dtype, &Device::Cpu)?;
        let module = (self.architecture.build)(variables, &self.config)?;
        Ok(Box::new(CandleBackend { module, outputs: self.signature.outputs.clone() }))
    }
}

struct CandleBackend {
    module: Box<dyn CandleModule>,
    outputs: Vec<TensorSpec>,
}

impl Backend for CandleBackend {
    fn infer(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>> {
        let inputs =
            inputs.iter().map(|input| Ok((input.name.clone(), to_candle(input)?))).collect::<Result<Vec<_>>>()?;
        let outputs = self.module.forward(&CandleInputs(inputs))?;
        outputs
            .into_iter()
            .filter_map(|(name, tensor)| {
                let spec = self.outputs.iter().find(|spec| spec.name == name)?;
                Some(from_candle(&tensor, spec.data_type).map(|tensor| NamedTensor::new(name, tensor)))
            })
            .collect()
    }
}

/// Candle has no type for booleans, so they travel as bytes of 0 and 1.
fn to_candle(input: &NamedTensor) -> Result<candle_core::Tensor> {
    let (shape, device) = (input.tensor.shape(), &Device::Cpu);
    Ok(match input.tensor.data() {
        TensorData::Bool(values) => {
            let bytes = values.iter().copied().map(u8::from).collect();
            candle_core::Tensor::from_vec(bytes, shape, device)?
        }
        TensorData::U8(values) => candle_core::Tensor::from_slice(values, shape, device)?,
        TensorData::U32(values) => candle_core::Tensor::from_slice(values, shape, device)?,
        TensorData::I16(values) => candle_core::Tensor::from_slice(values, shape, device)?,
        TensorData::I32(values) => candle_core::Tensor::from_slice(values, shape, device)?,
        TensorData::I64(values) => candle_core::Tensor::from_slice(values, shape, device)?,
        TensorData::F16(values) => candle_core::Tensor::from_slice(values, shape, device)?,
        TensorData::Bf16(values) => candle_core::Tensor::from_slice(values, shape, device)?,
        TensorData::F32(values) => candle_core::Tensor::from_slice(values, shape, device)?,
        TensorData::F64(values) => candle_core::Tensor::from_slice(values, shape, device)?,
        TensorData::U16(_) | TensorData::U64(_) | TensorData::I8(_) | TensorData::Bytes(_) => {
            return Err(unsupported(input.tensor.data_type(), &input.name));
        }
    })
}

fn from_candle(tensor: &candle_core::Tensor, promised: DataType) -> Result<Tensor> {
    let shape = tensor.dims().to_vec();
    let flat = tensor.flatten_all()?;
    match tensor.dtype() {
        DType::U8 if promised == DataType::Bool => {
            Tensor::new(shape, flat.to_vec1::<u8>()?.into_iter().map(|byte| byte != 0).collect::<Vec<_>>())
        }
        DType::U8 => Tensor::new(shape, flat.to_vec1::<u8>()?),
        DType::U32 => Tensor::new(shape, flat.to_vec1::<u32>()?),
        DType::I16 => Tensor::new(shape, flat.to_vec1::<i16>()?),
        DType::I32 => Tensor::new(shape, flat.to_vec1::<i32>()?),
        DType::I64 => Tensor::new(shape, flat.to_vec1::<i64>()?),
        DType::F16 => Tensor::new(shape, flat.to_vec1::<half::f16>()?),
        DType::BF16 => Tensor::new(shape, flat.to_vec1::<half::bf16>()?),
        DType::F32 => Tensor::new(shape, flat.to_vec1::<f32>()?),
        DType::F64 => Tensor::new(shape, flat.to_vec1::<f64>()?),
        other => Err(Error::Unsupported { what: format!("a candle tensor of type {other:?}") }),
    }
}

fn is_supported(data_type: DataType) -> bool {
    !matches!(data_type, DataType::U16 | DataType::U64 | DataType::I8 | DataType::Bytes)
}

fn unsupported(data_type: DataType, name: &str) -> Error {
    Error::Unsupported { what: format!("{data_type} tensor '{name}' with the candle backend") }
}
