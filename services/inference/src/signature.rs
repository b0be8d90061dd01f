//! A model's signature: the named tensors it takes and gives, and the checks against it.

use serde::{Deserialize, Serialize};

use crate::{DataType, Error, NamedTensor, Result, Tensor};

/// One input or output of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// The name by which the model knows it.
    pub name: String,
    /// Type of the elements.
    pub data_type: DataType,
    /// Length of each axis; -1 where any length is taken. A batchable model's axis 0 is -1.
    pub shape: Vec<i64>,
}

impl TensorSpec {
    /// An input or output of the given name, type and shape (-1: any length).
    pub fn new(name: impl Into<String>, data_type: DataType, shape: impl Into<Vec<i64>>) -> Self {
        TensorSpec { name: name.into(), data_type, shape: shape.into() }
    }

    /// `FP32 [-1, 4]`, for errors.
    fn describe(&self) -> String {
        format!("{} {:?}", self.data_type, self.shape)
    }

    fn fits(&self, tensor: &Tensor) -> bool {
        tensor.data_type() == self.data_type
            && tensor.shape().len() == self.shape.len()
            && tensor
                .shape()
                .iter()
                .zip(&self.shape)
                .all(|(&got, &want)| want == -1 || usize::try_from(want) == Ok(got))
    }
}

/// The tensors that a model takes and gives. Where every input and output starts with an axis of -1, that axis is the
/// batch: rows are independent of each other, and the server joins concurrent requests along it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// What the model takes; every input is required.
    pub inputs: Vec<TensorSpec>,
    /// What the model gives.
    pub outputs: Vec<TensorSpec>,
}

impl Signature {
    /// Whether axis 0 of every input and output is the batch.
    pub fn is_batchable(&self) -> bool {
        let mut specs = self.inputs.iter().chain(&self.outputs);
        !self.inputs.is_empty() && specs.all(|spec| spec.shape.first() == Some(&-1))
    }

    /// Checks the signature itself: names are given and differ, axes are -1 or at least 0.
    ///
    /// # Errors
    /// [`Error::InvalidField`] naming the input or output.
    pub fn check(&self) -> Result<()> {
        for (kind, specs) in [("inputs", &self.inputs), ("outputs", &self.outputs)] {
            if specs.is_empty() {
                return Err(invalid(format!("signature.{kind}"), "none", "at least one"));
            }
            for (index, spec) in specs.iter().enumerate() {
                let field = format!("signature.{kind}[{index}]");
                if spec.name.is_empty() {
                    return Err(invalid(format!("{field}.name"), "an empty name", "a name"));
                }
                if specs[..index].iter().any(|other| other.name == spec.name) {
                    return Err(invalid(format!("{field}.name"), &format!("'{}' again", spec.name), "distinct names"));
                }
                if let Some(axis) = spec.shape.iter().find(|&&axis| axis < -1) {
                    return Err(invalid(
                        format!("{field}.shape"),
                        &axis.to_string(),
                        "-1 (any length) or a length from 0",
                    ));
                }
            }
        }
        Ok(())
    }

    /// Checks a request's inputs against the signature.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] naming the input, what was given and what is allowed.
    pub fn check_inputs(&self, inputs: &[NamedTensor]) -> Result<()> {
        for input in inputs {
            if inputs.iter().filter(|other| other.name == input.name).count() > 1 {
                return Err(wrong(&input.name, "the same input twice", "each input once"));
            }
            if !self.inputs.iter().any(|spec| spec.name == input.name) {
                let known = self.inputs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(wrong(&input.name, "an unknown input", &known));
            }
        }
        let mut first: Option<(&str, usize)> = None;
        for spec in &self.inputs {
            let Some(input) = inputs.iter().find(|input| input.name == spec.name) else {
                return Err(wrong(&spec.name, "nothing", &spec.describe()));
            };
            if !spec.fits(&input.tensor) {
                let got = format!("{} {:?}", input.tensor.data_type(), input.tensor.shape());
                return Err(wrong(&spec.name, &got, &spec.describe()));
            }
            if self.is_batchable() {
                let rows = input.tensor.shape().first().copied().unwrap_or_default();
                match first {
                    _ if rows == 0 => return Err(wrong(&spec.name, "0 rows", "at least 1 row")),
                    Some((name, others)) if others != rows => {
                        return Err(wrong(
                            &spec.name,
                            &format!("{rows} rows"),
                            &format!("{others}, as input '{name}' has"),
                        ));
                    }
                    _ => first = Some((&spec.name, rows)),
                }
            }
        }
        Ok(())
    }

    /// Checks that no free axis, the batch aside, is longer than the model takes; its own words would not name the limit.
    pub(crate) fn check_lengths(&self, inputs: &[NamedTensor], longest: usize) -> Result<()> {
        let batch = usize::from(self.is_batchable());
        for input in inputs {
            let Some(spec) = self.inputs.iter().find(|spec| spec.name == input.name) else { continue };
            for (axis, (&length, &promised)) in input.tensor.shape().iter().zip(&spec.shape).enumerate().skip(batch) {
                if promised == -1 && length > longest {
                    return Err(wrong(&input.name, &format!("axis {axis} of {length}"), &format!("at most {longest}")));
                }
            }
        }
        Ok(())
    }

    /// Checks the inputs and puts them into the signature's order. Gives them with their number of rows: 1 where the
    /// model is not batchable.
    pub(crate) fn admit(&self, mut inputs: Vec<NamedTensor>) -> Result<(Vec<NamedTensor>, usize)> {
        self.check_inputs(&inputs)?;
        inputs.sort_by_key(|input| self.inputs.iter().position(|spec| spec.name == input.name));
        let rows = match inputs.first() {
            Some(first) if self.is_batchable() => first.tensor.shape().first().copied().unwrap_or(1),
            _ => 1,
        };
        Ok((inputs, rows))
    }

    /// Checks what a backend gave for `rows` rows and puts it into the signature's order; further outputs are dropped.
    pub(crate) fn check_outputs(&self, mut outputs: Vec<NamedTensor>, rows: usize) -> Result<Vec<NamedTensor>> {
        let batchable = self.is_batchable();
        self.outputs
            .iter()
            .map(|spec| {
                let mismatch =
                    |got: String| Error::OutputMismatch { output: spec.name.clone(), got, promised: spec.describe() };
                let Some(index) = outputs.iter().position(|output| output.name == spec.name) else {
                    return Err(mismatch("nothing".to_owned()));
                };
                let output = outputs.swap_remove(index);
                let fits = spec.fits(&output.tensor) && (!batchable || output.tensor.shape().first() == Some(&rows));
                if fits {
                    Ok(output)
                } else {
                    Err(mismatch(format!("{} {:?} for {rows} rows", output.tensor.data_type(), output.tensor.shape())))
                }
            })
            .collect()
    }

    /// Inputs of zeros with every free axis 1 long: enough to touch every kernel once.
    pub(crate) fn zero_inputs(&self) -> Result<Vec<NamedTensor>> {
        self.inputs
            .iter()
            .map(|spec| {
                let shape = spec.shape.iter().map(|&axis| usize::try_from(axis).unwrap_or(1)).collect();
                Ok(NamedTensor::new(spec.name.clone(), Tensor::zeros(spec.data_type, shape)?))
            })
            .collect()
    }
}

fn wrong(input: &str, got: &str, allowed: &str) -> Error {
    Error::InvalidInput { input: input.to_owned(), got: got.to_owned(), allowed: allowed.to_owned() }
}

pub(crate) fn invalid(field: impl Into<String>, got: &str, allowed: &str) -> Error {
    Error::InvalidField { field: field.into(), got: got.to_owned(), allowed: allowed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature() -> Signature {
        Signature {
            inputs: vec![TensorSpec::new("x", DataType::F32, [-1, 2]), TensorSpec::new("mask", DataType::Bool, [-1])],
            outputs: vec![TensorSpec::new("y", DataType::F32, [-1])],
        }
    }

    fn check(inputs: Vec<NamedTensor>, expected: &str) {
        let message = signature().check_inputs(&inputs).map_or_else(|error| error.to_string(), |()| "ok".to_owned());
        assert_eq!(message, expected);
    }

    fn x(shape: [usize; 2]) -> NamedTensor {
        NamedTensor::new("x", Tensor::new(shape, vec![0.0f32; shape[0] * shape[1]]).unwrap())
    }

    fn mask(rows: usize) -> NamedTensor {
        NamedTensor::new("mask", Tensor::new([rows], vec![true; rows]).unwrap())
    }

    #[test]
    fn inputs_are_checked_by_name_type_shape_and_rows() {
        check(vec![mask(3), x([3, 2])], "ok");
        check(vec![x([3, 2])], "input 'mask': got nothing, allowed: BOOL [-1]");
        check(vec![x([3, 3]), mask(3)], "input 'x': got FP32 [3, 3], allowed: FP32 [-1, 2]");
        check(vec![x([3, 2]), mask(2)], "input 'mask': got 2 rows, allowed: 3, as input 'x' has");
        check(vec![x([0, 2]), mask(0)], "input 'x': got 0 rows, allowed: at least 1 row");
        check(vec![x([1, 2]), mask(1), mask(1)], "input 'mask': got the same input twice, allowed: each input once");
        let stranger = NamedTensor::new("z", Tensor::new([1], vec![1i64]).unwrap());
        check(vec![x([1, 2]), mask(1), stranger], "input 'z': got an unknown input, allowed: x, mask");
        let wrong_type = NamedTensor::new("mask", Tensor::new([1], vec![1u8]).unwrap());
        check(vec![x([1, 2]), wrong_type], "input 'mask': got UINT8 [1], allowed: BOOL [-1]");
    }

    #[test]
    fn a_free_axis_is_bounded_and_the_batch_is_not() {
        let tokens = Signature {
            inputs: vec![TensorSpec::new("ids", DataType::I64, [-1, -1])],
            outputs: vec![TensorSpec::new("y", DataType::F32, [-1])],
        };
        let ids = |shape: [usize; 2]| {
            vec![NamedTensor::new("ids", Tensor::new(shape, vec![0i64; shape[0] * shape[1]]).unwrap())]
        };
        assert!(tokens.check_lengths(&ids([20, 8]), 8).is_ok());
        let refused = tokens.check_lengths(&ids([1, 9]), 8).unwrap_err();
        assert_eq!(refused.to_string(), "input 'ids': got axis 1 of 9, allowed: at most 8");
        let fixed = signature();
        assert!(fixed.check_lengths(&[x([3, 2]), mask(3)], 1).is_ok());
    }

    #[test]
    fn a_signature_with_a_doubled_name_or_a_negative_axis_is_refused() {
        let mut doubled = signature();
        doubled.inputs[1].name = "x".to_owned();
        assert_eq!(
            doubled.check().unwrap_err().to_string(),
            "signature.inputs[1].name: got 'x' again, allowed: distinct names"
        );
        let mut negative = signature();
        negative.outputs[0].shape = vec![-2];
        assert_eq!(
            negative.check().unwrap_err().to_string(),
            "signature.outputs[0].shape: got -2, allowed: -1 (any length) or a length from 0"
        );
    }

    #[test]
    fn an_output_with_another_number_of_rows_is_a_mismatch() {
        let output = NamedTensor::new("y", Tensor::new([2], vec![0.0f32; 2]).unwrap());
        assert!(signature().check_outputs(vec![output.clone()], 2).is_ok());
        assert_eq!(
            signature().check_outputs(vec![output], 3).unwrap_err().to_string(),
            "output 'y': the model gave FP32 [2] for 3 rows, its signature promises FP32 [-1]"
        );
    }
}
