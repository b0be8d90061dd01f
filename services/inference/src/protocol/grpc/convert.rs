//! Between the protocol's messages and the server's requests and answers.

use std::collections::HashMap;

use bytes::Bytes;

use super::super::{
    parameters::{RequestParameters, Value, check_tensor},
    proto::{
        InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse, infer_parameter::ParameterChoice,
        model_infer_request::InferInputTensor, model_infer_response::InferOutputTensor,
    },
    raw, views,
};
use crate::{DataType, Error, InferRequest, Inference, NamedTensor, Result, Tensor, TensorData, signature::invalid};

/// What the response needs of the request.
pub(super) struct Reply {
    id: String,
    /// Requested outputs in order; empty: all.
    outputs: Vec<String>,
}

pub(super) fn read_request(request: ModelInferRequest) -> Result<(InferRequest, Reply)> {
    let parameters = RequestParameters::read(values(&request.parameters))?;
    for output in &request.outputs {
        check_tensor(&format!("outputs.{}", output.name), output.parameters.keys().map(String::as_str))?;
    }
    let raw = &request.raw_input_contents;
    if !raw.is_empty() && raw.len() != request.inputs.len() {
        let allowed = format!("one entry an input, {}", request.inputs.len());
        return Err(invalid("raw_input_contents", &format!("{} entries", raw.len()), &allowed));
    }
    let mut inputs = Vec::with_capacity(request.inputs.len());
    for (index, input) in request.inputs.into_iter().enumerate() {
        check_tensor(&format!("inputs.{}", input.name), input.parameters.keys().map(String::as_str))?;
        inputs.push(read_input(input, raw.get(index))?);
    }
    let outputs = request.outputs.into_iter().map(|output| output.name).collect();
    let request_out = InferRequest {
        model: request.model_name,
        version: views::optional(&request.model_version).map(str::to_owned),
        inputs,
        timeout: parameters.timeout,
        priority: parameters.priority,
    };
    Ok((request_out, Reply { id: request.id, outputs }))
}

impl Reply {
    pub(super) fn write(self, inference: Inference) -> Result<ModelInferResponse> {
        let chosen = views::choose_outputs(&inference, &self.outputs)?;
        let mut outputs = Vec::with_capacity(chosen.len());
        let mut raw_output_contents = Vec::with_capacity(chosen.len());
        for output in chosen {
            outputs.push(InferOutputTensor {
                name: output.name.clone(),
                datatype: output.tensor.data_type().name().to_owned(),
                shape: output.tensor.shape().iter().map(|&axis| axis as i64).collect(),
                ..Default::default()
            });
            let mut bytes = Vec::new();
            raw::encode(&output.tensor, &mut bytes);
            raw_output_contents.push(bytes);
        }
        let digest = InferParameter { parameter_choice: Some(ParameterChoice::StringParam(inference.digest)) };
        Ok(ModelInferResponse {
            model_name: inference.model,
            model_version: inference.version,
            id: self.id,
            parameters: HashMap::from([(views::DIGEST_PARAMETER.to_owned(), digest)]),
            outputs,
            raw_output_contents,
        })
    }
}

fn values(parameters: &HashMap<String, InferParameter>) -> impl Iterator<Item = (&str, Value)> {
    parameters.iter().filter_map(|(name, parameter)| {
        let value = match parameter.parameter_choice.as_ref()? {
            ParameterChoice::BoolParam(value) => Value::Bool(*value),
            ParameterChoice::Int64Param(value) => Value::Integer((*value).into()),
            ParameterChoice::Uint64Param(value) => Value::Integer((*value).into()),
            ParameterChoice::DoubleParam(value) => Value::Double(*value),
            ParameterChoice::StringParam(value) => Value::Text(value.clone()),
        };
        Some((name.as_str(), value))
    })
}

fn read_input(input: InferInputTensor, raw: Option<&Bytes>) -> Result<NamedTensor> {
    let InferInputTensor { name, datatype, shape, contents, .. } = input;
    let data_type = views::data_type(&name, &datatype)?;
    let shape = views::shape(&name, &shape)?;
    let tensor = match (raw, contents) {
        (Some(bytes), None) => raw::decode(&name, data_type, shape, bytes)?,
        (Some(_), Some(_)) => {
            return Err(Error::InvalidInput {
                input: name,
                got: "typed contents beside raw_input_contents".to_owned(),
                allowed: "one of the two for all inputs".to_owned(),
            });
        }
        (None, contents) => Tensor::new(shape, read_contents(&name, data_type, contents.unwrap_or_default())?)?,
    };
    Ok(NamedTensor::new(name, tensor))
}

fn read_contents(name: &str, data_type: DataType, contents: InferTensorContents) -> Result<TensorData> {
    let filled = [
        ("bool_contents", contents.bool_contents.len()),
        ("int_contents", contents.int_contents.len()),
        ("int64_contents", contents.int64_contents.len()),
        ("uint_contents", contents.uint_contents.len()),
        ("uint64_contents", contents.uint64_contents.len()),
        ("fp32_contents", contents.fp32_contents.len()),
        ("fp64_contents", contents.fp64_contents.len()),
        ("bytes_contents", contents.bytes_contents.len()),
    ];
    let list = match data_type {
        DataType::Bool => "bool_contents",
        DataType::I8 | DataType::I16 | DataType::I32 => "int_contents",
        DataType::I64 => "int64_contents",
        DataType::U8 | DataType::U16 | DataType::U32 => "uint_contents",
        DataType::U64 => "uint64_contents",
        DataType::F32 => "fp32_contents",
        DataType::F64 => "fp64_contents",
        DataType::Bytes => "bytes_contents",
        DataType::F16 | DataType::Bf16 => "raw_input_contents",
    };
    if let Some((other, _)) = filled.iter().find(|&&(filled, count)| filled != list && count > 0) {
        let (got, allowed) = (format!("{other} for {data_type}"), list.to_owned());
        return Err(Error::InvalidInput { input: name.to_owned(), got, allowed });
    }
    Ok(match data_type {
        DataType::Bool => contents.bool_contents.into(),
        DataType::I8 => narrow::<i32, i8>(name, data_type, contents.int_contents)?.into(),
        DataType::I16 => narrow::<i32, i16>(name, data_type, contents.int_contents)?.into(),
        DataType::I32 => contents.int_contents.into(),
        DataType::I64 => contents.int64_contents.into(),
        DataType::U8 => narrow::<u32, u8>(name, data_type, contents.uint_contents)?.into(),
        DataType::U16 => narrow::<u32, u16>(name, data_type, contents.uint_contents)?.into(),
        DataType::U32 => contents.uint_contents.into(),
        DataType::U64 => contents.uint64_contents.into(),
        DataType::F32 => contents.fp32_contents.into(),
        DataType::F64 => contents.fp64_contents.into(),
        DataType::Bytes => contents.bytes_contents.into(),
        // The protocol has no typed list for them.
        DataType::F16 | DataType::Bf16 => TensorData::zeros(data_type, 0),
    })
}

fn narrow<W: Copy + ToString, N: TryFrom<W>>(name: &str, data_type: DataType, values: Vec<W>) -> Result<Vec<N>> {
    let narrow = |value: W| {
        N::try_from(value).map_err(|_| Error::InvalidInput {
            input: name.to_owned(),
            got: value.to_string(),
            allowed: format!("numbers that {data_type} can hold"),
        })
    };
    values.into_iter().map(narrow).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(inputs: Vec<InferInputTensor>, raw: Vec<Bytes>) -> ModelInferRequest {
        ModelInferRequest { inputs, raw_input_contents: raw, ..Default::default() }
    }

    fn input(datatype: &str, shape: Vec<i64>, contents: Option<InferTensorContents>) -> InferInputTensor {
        InferInputTensor { name: "x".to_owned(), datatype: datatype.to_owned(), shape, contents, ..Default::default() }
    }

    fn check_refused(request: ModelInferRequest, expected: &str) {
        let Err(error) = read_request(request) else { panic!("accepted what should fail with: {expected}") };
        assert_eq!(error.to_string(), expected);
        assert_eq!(super::super::status(&error).code(), tonic::Code::InvalidArgument);
    }

    #[test]
    fn typed_contents_and_raw_contents_read_alike() {
        let contents = InferTensorContents { int_contents: vec![-1, 2], ..Default::default() };
        let (typed, _) = read_request(request(vec![input("INT8", vec![2], Some(contents))], vec![])).unwrap();
        let raw = request(vec![input("INT8", vec![2], None)], vec![Bytes::from_static(&[255, 2])]);
        assert_eq!(typed.inputs, read_request(raw).unwrap().0.inputs);
    }

    #[test]
    fn mixed_missing_and_misplaced_contents_are_refused() {
        let ints = |values: Vec<i32>| Some(InferTensorContents { int_contents: values, ..Default::default() });
        let raw = vec![Bytes::from_static(&[1])];
        check_refused(
            request(vec![input("INT8", vec![1], ints(vec![1]))], raw.clone()),
            "input 'x': got typed contents beside raw_input_contents, allowed: one of the two for all inputs",
        );
        check_refused(
            request(vec![input("INT8", vec![1], None), input("INT8", vec![1], None)], raw),
            "raw_input_contents: got 1 entries, allowed: one entry an input, 2",
        );
        check_refused(
            request(vec![input("FP32", vec![1], ints(vec![1]))], vec![]),
            "input 'x': got int_contents for FP32, allowed: fp32_contents",
        );
        check_refused(
            request(vec![input("INT8", vec![1], ints(vec![300]))], vec![]),
            "input 'x': got 300, allowed: numbers that INT8 can hold",
        );
        check_refused(request(vec![input("INT8", vec![1], None)], vec![]), "shape [1] does not hold 0 elements");
        check_refused(
            request(vec![input("INT8", vec![-1], None)], vec![]),
            "input 'x': got axis -1 in the shape, allowed: lengths from 0",
        );
    }
}
