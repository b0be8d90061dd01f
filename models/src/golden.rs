//! `golden.json`: inputs of a model with the answers it gave when it was approved, replayed by a test.

use std::collections::BTreeMap;
use std::path::Path;

use moneta_inference::{Backend, DataType, NamedTensor, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The name of the file in a model's folder.
pub const FILE: &str = "golden.json";

/// The cases of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// One a situation worth keeping.
    pub cases: Vec<Case>,
}

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The situation, as a sentence.
    pub name: String,
    /// Tensors by name.
    pub inputs: BTreeMap<String, GoldenTensor>,
    /// The answer by name.
    pub outputs: BTreeMap<String, GoldenTensor>,
    /// Largest difference that still agrees, relative to the larger of 1e-6 and the expected value.
    pub tolerance: f64,
}

/// A numeric tensor; JSON numbers hold every FP32 and FP64 exactly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenTensor {
    /// `FP32`, `FP64` or `INT64`.
    pub datatype: DataType,
    /// Sizes of the axes.
    pub shape: Vec<usize>,
    /// Values, row-major.
    pub data: Vec<f64>,
}

impl Golden {
    /// Reads the cases of a model's folder.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
        serde_json::from_str(&text).map_err(|error| Error::format(FILE, error))
    }

    /// Replays every case; the first that differs is an error with its name, place and values.
    pub fn replay(&self, backend: &mut dyn Backend) -> Result<()> {
        self.cases.iter().try_for_each(|case| case.replay(backend))
    }
}

impl Case {
    /// Runs `inputs` and keeps the answer as a case.
    pub fn record(name: &str, inputs: &[NamedTensor], backend: &mut dyn Backend, tolerance: f64) -> Result<Self> {
        let outputs = backend.infer(inputs)?;
        Ok(Self { name: name.to_owned(), inputs: named(inputs)?, outputs: named(&outputs)?, tolerance })
    }

    /// The inputs as the model server takes them.
    pub fn request(&self) -> Result<Vec<NamedTensor>> {
        self.inputs.iter().map(|(name, tensor)| Ok(NamedTensor::new(name, tensor.to_tensor()?))).collect()
    }

    fn replay(&self, backend: &mut dyn Backend) -> Result<()> {
        let answers = named(&backend.infer(&self.request()?)?)?;
        for (name, expected) in &self.outputs {
            let differs =
                |reason: String| Error::format(FILE, format!("case {:?}, output {name}: {reason}", self.name));
            let answer = answers.get(name).ok_or_else(|| differs("is missing".to_owned()))?;
            if answer.shape != expected.shape {
                return Err(differs(format!("has shape {:?}; expected {:?}", answer.shape, expected.shape)));
            }
            for (index, (&found, &wanted)) in answer.data.iter().zip(&expected.data).enumerate() {
                let agrees = (found - wanted).abs() <= self.tolerance * wanted.abs().max(1e-6);
                if !agrees {
                    return Err(differs(format!("element {index} is {found}; expected {wanted}")));
                }
            }
        }
        Ok(())
    }
}

impl GoldenTensor {
    fn to_tensor(&self) -> Result<Tensor> {
        let data: TensorData = match self.datatype {
            DataType::F32 => self.data.iter().map(|&value| value as f32).collect::<Vec<_>>().into(),
            DataType::F64 => self.data.clone().into(),
            DataType::I64 => self.data.iter().map(|&value| value as i64).collect::<Vec<_>>().into(),
            other => return Err(Error::format(FILE, format!("datatype is {}; FP32, FP64 or INT64", other.name()))),
        };
        Ok(Tensor::new(self.shape.clone(), data)?)
    }
}

fn named(tensors: &[NamedTensor]) -> Result<BTreeMap<String, GoldenTensor>> {
    tensors
        .iter()
        .map(|NamedTensor { name, tensor }| {
            let data = match tensor.data() {
                TensorData::F32(values) => values.iter().map(|&value| f64::from(value)).collect(),
                TensorData::F64(values) => values.clone(),
                TensorData::I64(values) => values.iter().map(|&value| value as f64).collect(),
                _ => return Err(Error::format(FILE, format!("{name} is {}", tensor.data_type().name()))),
            };
            let golden = GoldenTensor { datatype: tensor.data_type(), shape: tensor.shape().to_vec(), data };
            Ok((name.clone(), golden))
        })
        .collect()
}
