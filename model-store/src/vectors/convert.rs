//! Between Qdrant's protobuf messages and the engine's types: ids, payloads, vectors and selectors.
//!
//! Everything that a caller can get wrong is checked here, before the engine sees it: the engine answers some bad input
//! with a panic.

use std::collections::{BTreeMap, HashMap};

use qdrant_client::qdrant::{
    self, DenseVector, NamedVectorsOutput, PointId as ProtoPointId, RetrievedPoint, ScoredPoint as ProtoScoredPoint,
    Value, VectorOutput, Vectors, VectorsOutput, WithPayloadSelector, WithVectorsSelector, point_id::PointIdOptions,
    vector::Vector as VectorKind, vector_output, vectors::VectorsOptions, vectors_output,
    with_payload_selector::SelectorOptions as PayloadOptions, with_vectors_selector::SelectorOptions as VectorOptions,
};
use qdrant_edge::external::serde_json::{Map, Number, Value as Json};
use qdrant_edge::external::uuid::Uuid;
use qdrant_edge::{
    JsonPath, Payload, PayloadSelector, PayloadSelectorExclude, PayloadSelectorInclude, PointId, Record, ScoredPoint,
    VectorInternal, VectorPersisted, VectorStructInternal, VectorStructPersisted, WithPayloadInterface, WithVector,
};
use tonic::Status;

use super::store::CollectionSpec;

type Checked<T> = Result<T, Status>;

pub(super) fn unimplemented(what: &str) -> Status {
    Status::unimplemented(format!("{what} is not supported by the embedded vector store"))
}

/// Refuses a request that sets a field the store does not support, so that nothing is silently ignored.
pub(super) fn refuse_field(is_set: bool, field: &str) -> Checked<()> {
    if is_set { Err(unimplemented(&format!("field `{field}`"))) } else { Ok(()) }
}

pub(super) fn point_id(id: Option<ProtoPointId>, field: &str) -> Checked<PointId> {
    match id.and_then(|id| id.point_id_options) {
        Some(PointIdOptions::Num(number)) => Ok(PointId::NumId(number)),
        Some(PointIdOptions::Uuid(text)) => Uuid::parse_str(&text).map(PointId::Uuid).map_err(|_| {
            Status::invalid_argument(format!("{field} `{text}` is not a point id: an unsigned integer or a UUID"))
        }),
        None => Err(Status::invalid_argument(format!("{field} is missing: an unsigned integer or a UUID"))),
    }
}

pub(super) fn point_ids(ids: Vec<ProtoPointId>, field: &str) -> Checked<Vec<PointId>> {
    ids.into_iter().map(|id| point_id(Some(id), field)).collect()
}

pub(super) fn proto_id(id: PointId) -> ProtoPointId {
    let options = match id {
        PointId::NumId(number) => PointIdOptions::Num(number),
        PointId::Uuid(uuid) => PointIdOptions::Uuid(uuid.to_string()),
    };
    ProtoPointId { point_id_options: Some(options) }
}

pub(super) fn payload(values: HashMap<String, Value>) -> Checked<Payload> {
    values.into_iter().map(|(key, value)| Ok((key, json(value)?))).collect::<Checked<Map<_, _>>>().map(Payload)
}

fn json(value: Value) -> Checked<Json> {
    use qdrant::value::Kind;
    Ok(match value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(flag)) => Json::Bool(flag),
        Some(Kind::IntegerValue(number)) => Json::Number(number.into()),
        Some(Kind::DoubleValue(number)) => Json::Number(Number::from_f64(number).ok_or_else(|| {
            Status::invalid_argument(format!("payload value {number} is not a finite number, which JSON cannot hold"))
        })?),
        Some(Kind::StringValue(text)) => Json::String(text),
        Some(Kind::ListValue(list)) => Json::Array(list.values.into_iter().map(json).collect::<Checked<_>>()?),
        Some(Kind::StructValue(fields)) => {
            Json::Object(fields.fields.into_iter().map(|(key, value)| Ok((key, json(value)?))).collect::<Checked<_>>()?)
        }
    })
}

fn proto_payload(payload: Option<Payload>) -> HashMap<String, Value> {
    payload
        .map(|payload| payload.0.into_iter().map(|(key, value)| (key, Value::from(value))).collect())
        .unwrap_or_default()
}

/// The vectors of a point to store, checked against the collection: known names, right sizes, finite components.
pub(super) fn vectors(vectors: Option<Vectors>, spec: &CollectionSpec) -> Checked<VectorStructPersisted> {
    match vectors.and_then(|vectors| vectors.vectors_options) {
        Some(VectorsOptions::Vector(vector)) => Ok(VectorStructPersisted::Single(dense(vector, "", spec)?)),
        Some(VectorsOptions::Vectors(named)) => {
            let mut checked = BTreeMap::new();
            for (name, vector) in named.vectors {
                let vector = dense(vector, &name, spec)?;
                checked.insert(name, VectorPersisted::Dense(vector));
            }
            Ok(VectorStructPersisted::Named(checked.into_iter().collect()))
        }
        None if spec.vectors.is_empty() => Ok(VectorStructPersisted::Named(HashMap::new())),
        None => Err(Status::invalid_argument(format!("vectors are missing: allowed are {}", vector_names(spec)))),
    }
}

#[allow(deprecated, reason = "older clients send the flat fields")]
fn dense(vector: qdrant::Vector, name: &str, spec: &CollectionSpec) -> Checked<Vec<f32>> {
    let data = match vector.vector {
        Some(VectorKind::Dense(dense)) => dense.data,
        Some(VectorKind::Sparse(_)) => return Err(unimplemented("a sparse vector")),
        Some(VectorKind::MultiDense(_)) => return Err(unimplemented("a multi-vector")),
        Some(VectorKind::Document(_) | VectorKind::Image(_) | VectorKind::Object(_)) => {
            return Err(unimplemented("inference of a vector from a document, image or object"));
        }
        None if vector.indices.is_some() => return Err(unimplemented("a sparse vector")),
        None if vector.vectors_count.is_some_and(|count| count > 1) => return Err(unimplemented("a multi-vector")),
        None => vector.data,
    };
    check_dense(&data, name, spec)?;
    Ok(data)
}

/// Checks a vector against the collection's vector of that name (empty: the unnamed one).
pub(super) fn check_dense(data: &[f32], name: &str, spec: &CollectionSpec) -> Checked<()> {
    let expected = spec.vectors.get(name).ok_or_else(|| {
        Status::invalid_argument(format!(
            "vector name `{name}` does not exist in collection `{}`: allowed are {}",
            spec.name,
            vector_names(spec)
        ))
    })?;
    if data.len() != expected.size {
        return Err(Status::invalid_argument(format!(
            "vector `{name}` has {} components: collection `{}` holds vectors of {}",
            data.len(),
            spec.name,
            expected.size
        )));
    }
    match data.iter().position(|component| !component.is_finite()) {
        Some(at) => Err(Status::invalid_argument(format!(
            "vector `{name}` component {at} is {}: only finite numbers are allowed",
            data[at]
        ))),
        None => Ok(()),
    }
}

fn vector_names(spec: &CollectionSpec) -> String {
    let names: Vec<&str> =
        spec.vectors.keys().map(|name| if name.is_empty() { "the unnamed vector" } else { name }).collect();
    names.join(", ")
}

fn proto_vectors(vectors: VectorStructInternal) -> VectorsOutput {
    let options = match vectors {
        VectorStructInternal::Single(data) => vectors_output::VectorsOptions::Vector(proto_dense(data)),
        VectorStructInternal::MultiDense(_) => {
            // Collections are created with dense vectors only, so the engine holds no others.
            return VectorsOutput { vectors_options: None };
        }
        VectorStructInternal::Named(named) => {
            let vectors = named.into_iter().filter_map(|(name, vector)| match vector {
                VectorInternal::Dense(data) => Some((name, proto_dense(data))),
                VectorInternal::Sparse(_) | VectorInternal::MultiDense(_) => None,
            });
            vectors_output::VectorsOptions::Vectors(NamedVectorsOutput { vectors: vectors.collect() })
        }
    };
    VectorsOutput { vectors_options: Some(options) }
}

#[allow(deprecated, reason = "older clients read the flat field")]
fn proto_dense(data: Vec<f32>) -> VectorOutput {
    VectorOutput {
        data: data.clone(),
        vector: Some(vector_output::Vector::Dense(DenseVector { data })),
        ..VectorOutput::default()
    }
}

pub(super) fn json_path(text: &str, field: &str) -> Checked<JsonPath> {
    text.parse().map_err(|()| {
        Status::invalid_argument(format!("{field} `{text}` is not a payload path, like `name`, `a.b` or `items[].id`"))
    })
}

fn json_paths(texts: &[String], field: &str) -> Checked<Vec<JsonPath>> {
    texts.iter().map(|text| json_path(text, field)).collect()
}

/// `default` holds when the request says nothing: true for get and scroll in older clients, false for search.
pub(super) fn with_payload(selector: Option<WithPayloadSelector>, default: bool) -> Checked<WithPayloadInterface> {
    Ok(match selector.and_then(|selector| selector.selector_options) {
        None => WithPayloadInterface::Bool(default),
        Some(PayloadOptions::Enable(enable)) => WithPayloadInterface::Bool(enable),
        Some(PayloadOptions::Include(include)) => {
            let include = json_paths(&include.fields, "with_payload.include")?;
            WithPayloadInterface::Selector(PayloadSelector::Include(PayloadSelectorInclude { include }))
        }
        Some(PayloadOptions::Exclude(exclude)) => {
            let exclude = json_paths(&exclude.fields, "with_payload.exclude")?;
            WithPayloadInterface::Selector(PayloadSelector::Exclude(PayloadSelectorExclude { exclude }))
        }
    })
}

pub(super) fn with_vectors(selector: Option<WithVectorsSelector>, spec: &CollectionSpec) -> Checked<WithVector> {
    Ok(match selector.and_then(|selector| selector.selector_options) {
        None => WithVector::Bool(false),
        Some(VectorOptions::Enable(enable)) => WithVector::Bool(enable),
        Some(VectorOptions::Include(include)) => {
            if let Some(unknown) = include.names.iter().find(|name| !spec.vectors.contains_key(*name)) {
                return Err(Status::invalid_argument(format!(
                    "with_vectors names `{unknown}`, which does not exist: allowed are {}",
                    vector_names(spec)
                )));
            }
            WithVector::Selector(include.names)
        }
    })
}

pub(super) fn retrieved(record: Record) -> RetrievedPoint {
    RetrievedPoint {
        id: Some(proto_id(record.id)),
        payload: proto_payload(record.payload),
        vectors: record.vector.map(proto_vectors),
        shard_key: None,
        order_value: None,
    }
}

pub(super) fn scored(point: ScoredPoint) -> ProtoScoredPoint {
    ProtoScoredPoint {
        id: Some(proto_id(point.id)),
        payload: proto_payload(point.payload),
        score: point.score,
        version: point.version,
        vectors: point.vector.map(proto_vectors),
        shard_key: None,
        order_value: None,
    }
}
