//! Write requests as engine operations.

use std::collections::HashMap;

use qdrant_client::qdrant::{
    CreateFieldIndexCollection, FieldType, Filter as ProtoFilter, PointStruct, PointVectors, PointsSelector,
    PointsUpdateOperation, ShardKeySelector, UpdateMode as ProtoUpdateMode, Value, VectorsSelector,
    points_selector::PointsSelectorOneOf, points_update_operation::Operation,
};
use qdrant_edge::{
    CreateIndex, DeletePayloadOp, FieldIndexOperations, Filter, PayloadFieldSchema, PayloadOps, PayloadSchemaType,
    PointId, PointIdsList, PointInsertOperations, PointOperations, PointStructPersisted, PointVectorsPersisted,
    SetPayloadOp, UpdateOperation, UpdateVectorsOp, VectorOperations,
};
use tonic::Status;

use super::convert::{json_path, payload, point_id, point_ids, refuse_field, unimplemented, vectors};
use super::filter::filter;
use super::store::CollectionSpec;

type Checked<T> = Result<T, Status>;

/// The points that a request selects.
pub(super) enum Selection {
    Ids(Vec<PointId>),
    Filter(Filter),
}

impl Selection {
    /// As the pair of options that the payload operations take.
    fn into_options(self) -> (Option<Vec<PointId>>, Option<Filter>) {
        match self {
            Self::Ids(ids) => (Some(ids), None),
            Self::Filter(filter) => (None, Some(filter)),
        }
    }
}

pub(super) fn selection(selector: Option<PointsSelector>) -> Checked<Selection> {
    match selector.and_then(|selector| selector.points_selector_one_of) {
        Some(PointsSelectorOneOf::Points(list)) => Ok(Selection::Ids(point_ids(list.ids, "points")?)),
        Some(PointsSelectorOneOf::Filter(proto)) => match filter(Some(proto))? {
            Some(filter) => Ok(Selection::Filter(filter)),
            None => Err(missing_selector()),
        },
        None => Err(missing_selector()),
    }
}

fn missing_selector() -> Status {
    Status::invalid_argument("points selector is missing: a list of point ids or a filter")
}

pub(super) fn no_shard_key(selector: &Option<ShardKeySelector>) -> Checked<()> {
    refuse_field(selector.is_some(), "shard_key_selector")
}

pub(super) fn upsert(
    points: Vec<PointStruct>,
    update_filter: Option<&ProtoFilter>,
    update_mode: Option<i32>,
    spec: &CollectionSpec,
) -> Checked<UpdateOperation> {
    refuse_field(update_filter.is_some(), "update_filter")?;
    refuse_field(update_mode.is_some_and(|mode| mode != ProtoUpdateMode::Upsert as i32), "update_mode")?;
    let points = points
        .into_iter()
        .map(|point| {
            Ok(PointStructPersisted {
                id: point_id(point.id, "points.id")?,
                vector: vectors(point.vectors, spec)?,
                payload: Some(payload(point.payload)?),
            })
        })
        .collect::<Checked<Vec<_>>>()?;
    Ok(UpdateOperation::PointOperation(PointOperations::UpsertPoints(PointInsertOperations::PointsList(points))))
}

pub(super) fn delete(selector: Option<PointsSelector>) -> Checked<UpdateOperation> {
    Ok(UpdateOperation::PointOperation(match selection(selector)? {
        Selection::Ids(ids) => PointOperations::DeletePoints { ids },
        Selection::Filter(filter) => PointOperations::DeletePointsByFilter(filter),
    }))
}

fn payload_op(
    values: HashMap<String, Value>,
    selector: Option<PointsSelector>,
    key: Option<String>,
) -> Checked<SetPayloadOp> {
    let (points, filter) = selection(selector)?.into_options();
    let key = key.map(|key| json_path(&key, "key")).transpose()?;
    Ok(SetPayloadOp { payload: payload(values)?, points, filter, key })
}

pub(super) fn set_payload(
    values: HashMap<String, Value>,
    selector: Option<PointsSelector>,
    key: Option<String>,
) -> Checked<UpdateOperation> {
    Ok(UpdateOperation::PayloadOperation(PayloadOps::SetPayload(payload_op(values, selector, key)?)))
}

pub(super) fn overwrite_payload(
    values: HashMap<String, Value>,
    selector: Option<PointsSelector>,
    key: Option<&str>,
) -> Checked<UpdateOperation> {
    refuse_field(key.is_some(), "key")?;
    Ok(UpdateOperation::PayloadOperation(PayloadOps::OverwritePayload(payload_op(values, selector, None)?)))
}

pub(super) fn delete_payload(keys: &[String], selector: Option<PointsSelector>) -> Checked<UpdateOperation> {
    let keys = keys.iter().map(|key| json_path(key, "keys")).collect::<Checked<Vec<_>>>()?;
    let (points, filter) = selection(selector)?.into_options();
    Ok(UpdateOperation::PayloadOperation(PayloadOps::DeletePayload(DeletePayloadOp { keys, points, filter })))
}

pub(super) fn clear_payload(selector: Option<PointsSelector>) -> Checked<UpdateOperation> {
    Ok(UpdateOperation::PayloadOperation(match selection(selector)? {
        Selection::Ids(points) => PayloadOps::ClearPayload { points },
        Selection::Filter(filter) => PayloadOps::ClearPayloadByFilter(filter),
    }))
}

pub(super) fn update_vectors(
    points: Vec<PointVectors>,
    update_filter: Option<&ProtoFilter>,
    spec: &CollectionSpec,
) -> Checked<UpdateOperation> {
    refuse_field(update_filter.is_some(), "update_filter")?;
    let points = points
        .into_iter()
        .map(|point| {
            Ok(PointVectorsPersisted { id: point_id(point.id, "points.id")?, vector: vectors(point.vectors, spec)? })
        })
        .collect::<Checked<Vec<_>>>()?;
    Ok(UpdateOperation::VectorOperation(VectorOperations::UpdateVectors(UpdateVectorsOp {
        points,
        update_filter: None,
    })))
}

pub(super) fn delete_vectors(
    selector: Option<PointsSelector>,
    names: Option<VectorsSelector>,
    spec: &CollectionSpec,
) -> Checked<UpdateOperation> {
    let names = names.map(|names| names.names).unwrap_or_default();
    if let Some(unknown) = names.iter().find(|name| !spec.vectors.contains_key(*name)) {
        return Err(Status::invalid_argument(format!("vectors names `{unknown}`, which the collection does not have")));
    }
    Ok(UpdateOperation::VectorOperation(match selection(selector)? {
        Selection::Ids(ids) => VectorOperations::DeleteVectors(PointIdsList::from(ids), names),
        Selection::Filter(filter) => VectorOperations::DeleteVectorsByFilter(filter, names),
    }))
}

pub(super) fn create_index(request: &CreateFieldIndexCollection) -> Checked<UpdateOperation> {
    refuse_field(request.field_index_params.is_some(), "field_index_params")?;
    let number = request.field_type.ok_or_else(|| Status::invalid_argument("field_type is missing"))?;
    let kind = match FieldType::try_from(number) {
        Ok(FieldType::Keyword) => PayloadSchemaType::Keyword,
        Ok(FieldType::Integer) => PayloadSchemaType::Integer,
        Ok(FieldType::Float) => PayloadSchemaType::Float,
        Ok(FieldType::Geo) => PayloadSchemaType::Geo,
        Ok(FieldType::Text) => PayloadSchemaType::Text,
        Ok(FieldType::Bool) => PayloadSchemaType::Bool,
        Ok(FieldType::Datetime) => PayloadSchemaType::Datetime,
        Ok(FieldType::Uuid) => PayloadSchemaType::Uuid,
        Err(_) => return Err(Status::invalid_argument(format!("field_type {number} is unknown: 0 to 7 are allowed"))),
    };
    Ok(UpdateOperation::FieldIndexOperation(FieldIndexOperations::CreateIndex(CreateIndex {
        field_name: json_path(&request.field_name, "field_name")?,
        field_schema: Some(PayloadFieldSchema::FieldType(kind)),
    })))
}

pub(super) fn delete_index(field_name: &str) -> Checked<UpdateOperation> {
    let path = json_path(field_name, "field_name")?;
    Ok(UpdateOperation::FieldIndexOperation(FieldIndexOperations::DeleteIndex(path)))
}

/// One entry of a batch of updates.
pub(super) fn batch_entry(entry: PointsUpdateOperation, spec: &CollectionSpec) -> Checked<UpdateOperation> {
    match entry.operation {
        Some(Operation::Upsert(list)) => {
            no_shard_key(&list.shard_key_selector)?;
            upsert(list.points, list.update_filter.as_ref(), list.update_mode, spec)
        }
        Some(Operation::DeletePoints(operation)) => {
            no_shard_key(&operation.shard_key_selector)?;
            delete(operation.points)
        }
        Some(Operation::SetPayload(operation)) => {
            no_shard_key(&operation.shard_key_selector)?;
            set_payload(operation.payload, operation.points_selector, operation.key)
        }
        Some(Operation::OverwritePayload(operation)) => {
            no_shard_key(&operation.shard_key_selector)?;
            overwrite_payload(operation.payload, operation.points_selector, operation.key.as_deref())
        }
        Some(Operation::DeletePayload(operation)) => {
            no_shard_key(&operation.shard_key_selector)?;
            delete_payload(&operation.keys, operation.points_selector)
        }
        Some(Operation::ClearPayload(operation)) => {
            no_shard_key(&operation.shard_key_selector)?;
            clear_payload(operation.points)
        }
        Some(Operation::UpdateVectors(operation)) => {
            no_shard_key(&operation.shard_key_selector)?;
            update_vectors(operation.points, operation.update_filter.as_ref(), spec)
        }
        Some(Operation::DeleteVectors(operation)) => {
            no_shard_key(&operation.shard_key_selector)?;
            delete_vectors(operation.points_selector, operation.vectors, spec)
        }
        Some(_) => Err(unimplemented("a deprecated batch operation")),
        None => Err(Status::invalid_argument("operations holds an empty entry")),
    }
}
