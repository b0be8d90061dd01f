//! Filters: Qdrant's protobuf conditions as the engine's.
//!
//! The engine reads its filters from Qdrant's JSON form, so a filter is translated to that form and read from there;
//! only what the JSON form cannot say exactly is refused.

use qdrant_client::qdrant::{
    Condition, DatetimeRange, FieldCondition, Filter as ProtoFilter, HasIdCondition, Match, condition::ConditionOneOf,
    r#match::MatchValue,
};
use qdrant_edge::Filter;
use qdrant_edge::external::serde_json::{self, Map, Value as Json, json};
use tonic::Status;

use super::convert::{json_path, point_id, refuse_field, unimplemented};

type Checked<T> = Result<T, Status>;

/// Deep nesting is refused rather than recursed into.
const DEPTH_LIMIT: usize = 16;

pub(super) fn filter(filter: Option<ProtoFilter>) -> Checked<Option<Filter>> {
    filter.map(|filter| parse(filter_json(filter, 0)?)).transpose()
}

fn parse(value: Json) -> Checked<Filter> {
    serde_json::from_value(value)
        .map_err(|error| Status::invalid_argument(format!("filter is not understood: {error}")))
}

fn filter_json(filter: ProtoFilter, depth: usize) -> Checked<Json> {
    if depth > DEPTH_LIMIT {
        return Err(Status::invalid_argument(format!("filter is nested deeper than {DEPTH_LIMIT} levels")));
    }
    let mut object = Map::new();
    for (name, conditions) in [("must", filter.must), ("should", filter.should), ("must_not", filter.must_not)] {
        if !conditions.is_empty() {
            object.insert(name.into(), conditions_json(conditions, depth)?);
        }
    }
    if let Some(min_should) = filter.min_should {
        let conditions = conditions_json(min_should.conditions, depth)?;
        object.insert("min_should".into(), json!({ "conditions": conditions, "min_count": min_should.min_count }));
    }
    Ok(Json::Object(object))
}

fn conditions_json(conditions: Vec<Condition>, depth: usize) -> Checked<Json> {
    conditions
        .into_iter()
        .map(|condition| condition_json(condition, depth))
        .collect::<Checked<Vec<_>>>()
        .map(Json::Array)
}

fn condition_json(condition: Condition, depth: usize) -> Checked<Json> {
    match condition.condition_one_of {
        None => Err(Status::invalid_argument(
            "filter condition is empty: a field, has_id, is_empty, is_null, nested or filter condition",
        )),
        Some(ConditionOneOf::Field(field)) => field_json(field),
        Some(ConditionOneOf::IsEmpty(empty)) => Ok(json!({ "is_empty": { "key": path(&empty.key)? } })),
        Some(ConditionOneOf::IsNull(null)) => Ok(json!({ "is_null": { "key": path(&null.key)? } })),
        Some(ConditionOneOf::HasId(has_id)) => has_id_json(has_id),
        Some(ConditionOneOf::Filter(filter)) => filter_json(filter, depth + 1),
        Some(ConditionOneOf::Nested(nested)) => {
            let filter = nested.filter.ok_or_else(|| Status::invalid_argument("nested.filter is missing"))?;
            Ok(json!({ "nested": { "key": path(&nested.key)?, "filter": filter_json(filter, depth + 1)? } }))
        }
        Some(ConditionOneOf::HasVector(vector)) => Ok(json!({ "has_vector": vector.has_vector })),
        Some(ConditionOneOf::Slice(_)) => Err(unimplemented("filter condition `slice`")),
    }
}

fn path(key: &str) -> Checked<&str> {
    json_path(key, "filter key").map(|_| key)
}

fn field_json(field: FieldCondition) -> Checked<Json> {
    refuse_field(field.geo_bounding_box.is_some(), "geo_bounding_box")?;
    refuse_field(field.geo_radius.is_some(), "geo_radius")?;
    refuse_field(field.geo_polygon.is_some(), "geo_polygon")?;
    let mut object = Map::new();
    if let Some(matching) = field.r#match {
        object.insert("match".into(), match_json(matching)?);
    }
    if field.range.is_some() && field.datetime_range.is_some() {
        return Err(Status::invalid_argument(format!(
            "filter on `{}` has both range and datetime_range: one of them is allowed",
            field.key
        )));
    }
    if let Some(range) = field.range {
        let bounds = [("lt", range.lt), ("gt", range.gt), ("lte", range.lte), ("gte", range.gte)];
        if let Some((name, value)) = bounds.iter().find_map(|(n, v)| v.filter(|v| !v.is_finite()).map(|v| (n, v))) {
            return Err(Status::invalid_argument(format!(
                "filter on `{}`: range.{name} is {value}, only finite numbers are allowed",
                field.key
            )));
        }
        object.insert("range".into(), bounds_json(bounds));
    }
    if let Some(range) = field.datetime_range {
        object.insert("range".into(), datetime_json(&range, &field.key)?);
    }
    if let Some(count) = field.values_count {
        let bounds = [("lt", count.lt), ("gt", count.gt), ("lte", count.lte), ("gte", count.gte)];
        object.insert("values_count".into(), bounds_json(bounds));
    }
    if let Some(flag) = field.is_empty {
        object.insert("is_empty".into(), flag.into());
    }
    if let Some(flag) = field.is_null {
        object.insert("is_null".into(), flag.into());
    }
    if object.is_empty() {
        return Err(Status::invalid_argument(format!(
            "filter on `{}` says nothing: match, range, datetime_range, values_count, is_empty or is_null",
            field.key
        )));
    }
    object.insert("key".into(), path(&field.key)?.into());
    Ok(Json::Object(object))
}

fn bounds_json<T: Into<Json>>(bounds: [(&str, Option<T>); 4]) -> Json {
    bounds
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value.into())))
        .collect::<Map<_, _>>()
        .into()
}

fn datetime_json(range: &DatetimeRange, key: &str) -> Checked<Json> {
    let bounds = [("lt", &range.lt), ("gt", &range.gt), ("lte", &range.lte), ("gte", &range.gte)];
    let mut object = Map::new();
    for (name, bound) in bounds {
        let Some(bound) = bound else { continue };
        let time = u32::try_from(bound.nanos)
            .ok()
            .and_then(|nanos| chrono::DateTime::from_timestamp(bound.seconds, nanos))
            .ok_or_else(|| {
                Status::invalid_argument(format!("filter on `{key}`: datetime_range.{name} {bound:?} is not a time"))
            })?;
        object.insert(name.into(), time.to_rfc3339().into());
    }
    Ok(Json::Object(object))
}

fn match_json(matching: Match) -> Checked<Json> {
    Ok(match matching.match_value {
        Some(MatchValue::Keyword(text)) => json!({ "value": text }),
        Some(MatchValue::Integer(number)) => json!({ "value": number }),
        Some(MatchValue::Boolean(flag)) => json!({ "value": flag }),
        Some(MatchValue::Text(text)) => json!({ "text": text }),
        Some(MatchValue::TextAny(text)) => json!({ "text_any": text }),
        Some(MatchValue::Phrase(text)) => json!({ "phrase": text }),
        Some(MatchValue::Keywords(list)) => json!({ "any": list.strings }),
        Some(MatchValue::Integers(list)) => json!({ "any": list.integers }),
        Some(MatchValue::ExceptKeywords(list)) => json!({ "except": list.strings }),
        Some(MatchValue::ExceptIntegers(list)) => json!({ "except": list.integers }),
        Some(MatchValue::Prefix(_)) => return Err(unimplemented("match `prefix`")),
        Some(MatchValue::Substring(_)) => return Err(unimplemented("match `substring`")),
        None => {
            return Err(Status::invalid_argument("match is empty: keyword, integer, boolean, text or a list of them"));
        }
    })
}

fn has_id_json(condition: HasIdCondition) -> Checked<Json> {
    let ids = condition.has_id.into_iter().map(|id| match point_id(Some(id), "has_id")? {
        qdrant_edge::PointId::NumId(number) => Ok(Json::from(number)),
        qdrant_edge::PointId::Uuid(uuid) => Ok(Json::from(uuid.to_string())),
    });
    Ok(json!({ "has_id": ids.collect::<Checked<Vec<_>>>()? }))
}
