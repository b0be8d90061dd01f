//! The inference request and response: JSON, and the binary tensors that may follow it.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{
    super::{
        parameters::{RequestParameters, Value, check_tensor},
        raw, views,
    },
    body::{self, Coding},
    json_data,
};
use crate::{Error, InferRequest, Inference, ModelServer, NamedTensor, Result, Signature, Tensor, signature::invalid};

/// Length of the JSON at the head of the uncompressed body; binary tensors follow it. 0: the body is one raw input.
const JSON_LENGTH: &str = "inference-header-content-length";

#[derive(Deserialize)]
struct RequestBody {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    parameters: BTreeMap<String, Json>,
    inputs: Vec<InputBody>,
    #[serde(default)]
    outputs: Vec<OutputRequest>,
}

#[derive(Deserialize)]
struct InputBody {
    name: String,
    shape: Vec<i64>,
    datatype: String,
    #[serde(default)]
    parameters: BTreeMap<String, Json>,
    #[serde(default)]
    data: Option<Json>,
}

#[derive(Deserialize)]
struct OutputRequest {
    name: String,
    #[serde(default)]
    parameters: BTreeMap<String, Json>,
}

#[derive(Serialize)]
struct ResponseBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    model_name: String,
    model_version: String,
    parameters: BTreeMap<&'static str, String>,
    outputs: Vec<OutputBody>,
}

#[derive(Serialize)]
struct OutputBody {
    name: String,
    datatype: &'static str,
    shape: Vec<usize>,
    /// Only beside binary data: clients take its presence as the sign of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<BinarySize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Json>,
}

#[derive(Serialize)]
struct BinarySize {
    binary_data_size: usize,
}

/// What the response needs of the request.
struct Reply {
    id: Option<String>,
    /// Requested outputs in order, and whether each is binary; empty: all.
    outputs: Vec<(String, bool)>,
    /// Whether outputs are binary where none was named.
    binary: bool,
    coding: Option<Coding>,
}

/// Answers an inference request.
pub(super) async fn answer(
    server: &ModelServer,
    model: String,
    version: Option<String>,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let body = body::decompress(headers, body, server.options.max_request_bytes)?;
    let length = json_length(headers, body.len())?;
    let limit = server.options.max_json_bytes;
    if length.unwrap_or(body.len()) > limit {
        return Err(Error::TooLarge { what: "the request's JSON (send large tensors as binary data)", limit });
    }
    let (request, reply) = match length {
        Some(0) => {
            let signature = server.read().resolve(&model, version.as_deref())?.signature.clone();
            raw_request(&signature, model, version, &body, headers)?
        }
        Some(length) => read(model, version, &body[..length], &body[length..], headers)?,
        None => read(model, version, &body, &[], headers)?,
    };
    write(server.infer_with(request).await?, reply)
}

fn json_length(headers: &HeaderMap, body: usize) -> Result<Option<usize>> {
    let Some(value) = headers.get(JSON_LENGTH) else { return Ok(None) };
    let text = value.to_str().unwrap_or("not text").trim();
    let length = text.parse().ok().filter(|&length: &usize| length <= body);
    let refused = || invalid("Inference-Header-Content-Length", text, &format!("0 to the body's {body} bytes"));
    length.ok_or_else(refused).map(Some)
}

fn read(
    model: String,
    version: Option<String>,
    json: &[u8],
    mut binary: &[u8],
    headers: &HeaderMap,
) -> Result<(InferRequest, Reply)> {
    let request: RequestBody = serde_json::from_slice(json).map_err(|error| {
        invalid(
            "body",
            &format!("JSON that cannot be read ({error})"),
            "an inference request of the Open Inference Protocol v2",
        )
    })?;
    let parameters = RequestParameters::read(values(&request.parameters)?)?;
    let mut inputs = Vec::with_capacity(request.inputs.len());
    for input in request.inputs {
        inputs.push(read_input(input, &mut binary)?);
    }
    if !binary.is_empty() {
        let allowed = "as many as the inputs' binary_data_size says";
        return Err(invalid("body", &format!("{} bytes after the last input's data", binary.len()), allowed));
    }
    let mut outputs = Vec::with_capacity(request.outputs.len());
    for output in request.outputs {
        let field = format!("outputs.{}", output.name);
        check_tensor(&field, output.parameters.keys().map(String::as_str))?;
        let binary = match output.parameters.get("binary_data") {
            Some(value) => parameter(&field, value)?.as_bool(&format!("{field}.parameters.binary_data"))?,
            None => parameters.binary_output,
        };
        outputs.push((output.name, binary));
    }
    let reply = Reply { id: request.id, outputs, binary: parameters.binary_output, coding: Coding::accepted(headers) };
    let (timeout, priority) = (parameters.timeout, parameters.priority);
    Ok((InferRequest { model, version, inputs, timeout, priority }, reply))
}

fn read_input(input: InputBody, binary: &mut &[u8]) -> Result<NamedTensor> {
    let InputBody { name, shape, datatype, parameters, data } = input;
    let field = format!("inputs.{name}");
    check_tensor(&field, parameters.keys().map(String::as_str))?;
    let data_type = views::data_type(&name, &datatype)?;
    let shape = views::shape(&name, &shape)?;
    let tensor = match (parameters.get("binary_data_size"), data) {
        (Some(size), None) => {
            let field = format!("{field}.parameters.binary_data_size");
            let size = parameter(&field, size)?.as_u64(&field, u64::MAX)?;
            let split = usize::try_from(size).ok().and_then(|size| binary.split_at_checked(size));
            let Some((bytes, rest)) = split else {
                return Err(invalid(
                    field,
                    &size.to_string(),
                    &format!("at most the {} bytes that are left", binary.len()),
                ));
            };
            *binary = rest;
            raw::decode(&name, data_type, shape, bytes)?
        }
        (None, Some(data)) => Tensor::new(shape, json_data::read(&name, data_type, data)?)?,
        (both, _) => {
            let got = if both.is_some() { "data beside binary_data_size" } else { "neither data nor binary_data_size" };
            let allowed = "one of data and parameters.binary_data_size".to_owned();
            return Err(Error::InvalidInput { input: name, got: got.to_owned(), allowed });
        }
    };
    Ok(NamedTensor::new(name, tensor))
}

fn values(parameters: &BTreeMap<String, Json>) -> Result<Vec<(&str, Value)>> {
    parameters.iter().map(|(name, value)| Ok((name.as_str(), parameter(name, value)?))).collect()
}

fn parameter(field: &str, value: &Json) -> Result<Value> {
    Ok(match value {
        Json::Bool(value) => Value::Bool(*value),
        Json::String(value) => Value::Text(value.clone()),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(value), _, _) => Value::Integer(value.into()),
            (None, Some(value), _) => Value::Integer(value.into()),
            (None, None, value) => Value::Double(value.unwrap_or_default()),
        },
        other => {
            return Err(invalid(format!("parameters of {field}"), &other.to_string(), "text, numbers, true and false"));
        }
    })
}

/// A body that is nothing but the data of the model's one input. The shape is the signature's, with the one free axis as
/// long as the data makes it; where two are free, the batch is 1.
fn raw_request(
    signature: &Signature,
    model: String,
    version: Option<String>,
    body: &[u8],
    headers: &HeaderMap,
) -> Result<(InferRequest, Reply)> {
    let [spec] = signature.inputs.as_slice() else {
        let got = format!("a raw body for {} inputs", signature.inputs.len());
        return Err(invalid("body", &got, "a raw body for a model of one input"));
    };
    let free = spec.shape.iter().filter(|&&axis| axis == -1).count();
    let mut shape = spec.shape.clone();
    if free == 2 && signature.is_batchable() {
        shape[0] = 1;
    } else if free > 1 {
        return Err(invalid(
            "body",
            "a raw body",
            "a raw body for an input with at most one free axis besides the batch",
        ));
    }
    let tensor = match spec.data_type.byte_width() {
        // Without a length before it, the body can only be one string.
        None => Tensor::new(vec![1; shape.len()], vec![body.to_vec()])?,
        Some(width) => {
            let fixed: i64 = shape.iter().filter(|&&axis| axis != -1).product();
            let row = usize::try_from(fixed).unwrap_or_default() * width;
            let length = body.len().checked_div(row).unwrap_or_default();
            let axis = |&axis: &i64| usize::try_from(axis).unwrap_or(length);
            raw::decode(&spec.name, spec.data_type, shape.iter().map(axis).collect(), body)?
        }
    };
    let inputs = vec![NamedTensor::new(spec.name.clone(), tensor)];
    let reply = Reply { id: None, outputs: Vec::new(), binary: true, coding: Coding::accepted(headers) };
    Ok((InferRequest { model, version, inputs, timeout: None, priority: 0 }, reply))
}

fn write(inference: Inference, reply: Reply) -> Result<Response> {
    let names: Vec<String> = reply.outputs.iter().map(|(name, _)| name.clone()).collect();
    let mut outputs = Vec::new();
    let mut binary = Vec::new();
    for (index, output) in views::choose_outputs(&inference, &names)?.into_iter().enumerate() {
        let as_binary = reply.outputs.get(index).map_or(reply.binary, |(_, binary)| *binary);
        let mut body = OutputBody {
            name: output.name.clone(),
            datatype: output.tensor.data_type().name(),
            shape: output.tensor.shape().to_vec(),
            parameters: None,
            data: None,
        };
        if as_binary {
            let before = binary.len();
            raw::encode(&output.tensor, &mut binary);
            body.parameters = Some(BinarySize { binary_data_size: binary.len() - before });
        } else {
            body.data = Some(json_data::write(&output.name, output.tensor.data())?);
        }
        outputs.push(body);
    }
    let is_binary = outputs.iter().any(|output| output.parameters.is_some());
    let response = ResponseBody {
        id: reply.id,
        model_name: inference.model,
        model_version: inference.version,
        parameters: BTreeMap::from([(views::DIGEST_PARAMETER, inference.digest)]),
        outputs,
    };
    let mut body = serde_json::to_vec(&response).map_err(std::io::Error::from)?;
    let mut headers = HeaderMap::new();
    let content = if is_binary { "application/octet-stream" } else { "application/json" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    if is_binary {
        headers.insert(JSON_LENGTH, HeaderValue::from(body.len()));
        body.append(&mut binary);
    }
    if let Some(coding) = reply.coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        body = coding.compress(&body)?;
    }
    Ok((headers, body).into_response())
}
