//! Tensor elements as JSON: flat or nested lists in, flat lists out.

use serde_json::{Number, Value};

use crate::{DataType, Error, Result, TensorData, data_type::with_elements};

/// Reads the `data` of input `name`.
pub(super) fn read(name: &str, data_type: DataType, data: Value) -> Result<TensorData> {
    let mut values = Vec::new();
    flatten(data, &mut values);
    macro_rules! each {
        ($read:expr) => {
            values
                .into_iter()
                .enumerate()
                .map(|(index, value)| one(name, data_type, index, value, $read))
                .collect::<Result<Vec<_>>>()?
                .into()
        };
    }
    macro_rules! integers {
        ($element:ty) => {
            each!(|value: &Value| integer(value).and_then(|number| <$element>::try_from(number).ok()))
        };
    }
    Ok(match data_type {
        DataType::Bool => each!(Value::as_bool),
        DataType::U8 => integers!(u8),
        DataType::U16 => integers!(u16),
        DataType::U32 => integers!(u32),
        DataType::U64 => integers!(u64),
        DataType::I8 => integers!(i8),
        DataType::I16 => integers!(i16),
        DataType::I32 => integers!(i32),
        DataType::I64 => integers!(i64),
        DataType::F32 => each!(|value: &Value| number(value).map(|number| number as f32)),
        DataType::F64 => each!(number),
        DataType::Bytes => each!(|value: &Value| value.as_str().map(|text| text.as_bytes().to_vec())),
        DataType::F16 | DataType::Bf16 => return Err(no_json(name, data_type)),
    })
}

/// Writes the elements of output `name`.
pub(super) fn write(name: &str, data: &TensorData) -> Result<Value> {
    match data {
        TensorData::F16(_) | TensorData::Bf16(_) => Err(no_json(name, data.data_type())),
        TensorData::F32(values) => Ok(values.iter().map(|&value| finite(f64::from(value), shortest(value))).collect()),
        TensorData::F64(values) => Ok(values.iter().map(|&value| finite(value, Number::from_f64(value))).collect()),
        TensorData::Bytes(values) => values
            .iter()
            .map(|value| match std::str::from_utf8(value) {
                Ok(text) => Ok(Value::from(text)),
                Err(_) => Err(Error::InvalidField {
                    field: format!("outputs.{name}"),
                    got: "JSON asked for strings that are not UTF-8".to_owned(),
                    allowed: "binary_data".to_owned(),
                }),
            })
            .collect(),
        _ => Ok(Value::Array(with_integers(data))),
    }
}

/// Booleans and integers, which JSON takes as they are.
fn with_integers(data: &TensorData) -> Vec<Value> {
    trait Plain {
        fn plain(&self) -> Value;
    }
    macro_rules! plain {
        ($($element:ty),*) => { $(impl Plain for $element { fn plain(&self) -> Value { Value::from(*self) } })* };
    }
    plain!(bool, u8, u16, u32, u64, i8, i16, i32, i64, f32, f64);
    impl Plain for half::f16 {
        fn plain(&self) -> Value {
            Value::Null
        }
    }
    impl Plain for half::bf16 {
        fn plain(&self) -> Value {
            Value::Null
        }
    }
    impl Plain for Vec<u8> {
        fn plain(&self) -> Value {
            Value::Null
        }
    }
    with_elements!(data, values => values.iter().map(Plain::plain).collect())
}

fn flatten(data: Value, into: &mut Vec<Value>) {
    match data {
        Value::Array(values) => values.into_iter().for_each(|value| flatten(value, into)),
        value => into.push(value),
    }
}

fn one<T>(
    name: &str,
    data_type: DataType,
    index: usize,
    value: Value,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<T> {
    read(&value).ok_or_else(|| Error::InvalidInput {
        input: name.to_owned(),
        got: format!("{value} as element {index}"),
        allowed: match data_type {
            DataType::Bool => "true or false".to_owned(),
            DataType::Bytes => "strings".to_owned(),
            DataType::F32 | DataType::F64 => "numbers, \"NaN\", \"Infinity\" or \"-Infinity\"".to_owned(),
            integer => format!("whole numbers that {integer} can hold"),
        },
    })
}

fn integer(value: &Value) -> Option<i128> {
    value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))
}

fn number(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        _ => value.as_f64(),
    }
}

/// A 32-bit number with the digits it needs and no more: 0.1 and not 0.10000000149011612.
fn shortest(value: f32) -> Option<Number> {
    value.to_string().parse().ok().and_then(Number::from_f64)
}

/// RFC 8259 has no numbers that are not finite; these words are those of protobuf's JSON mapping.
fn finite(value: f64, number: Option<Number>) -> Value {
    match number {
        Some(number) if value.is_finite() => Value::Number(number),
        _ if value.is_nan() => Value::from("NaN"),
        _ if value > 0.0 => Value::from("Infinity"),
        _ => Value::from("-Infinity"),
    }
}

fn no_json(name: &str, data_type: DataType) -> Error {
    Error::InvalidInput {
        input: name.to_owned(),
        got: format!("{data_type} as JSON"),
        allowed: format!("{data_type} as binary data"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_refused(data_type: DataType, data: Value, expected: &str) {
        assert_eq!(read("x", data_type, data).unwrap_err().to_string(), expected);
    }

    #[test]
    fn nested_and_flat_lists_read_alike() {
        let flat = read("x", DataType::I32, json!([1, 2, 3, 4])).unwrap();
        assert_eq!(flat, read("x", DataType::I32, json!([[1, 2], [3, 4]])).unwrap());
        assert_eq!(flat, vec![1i32, 2, 3, 4].into());
    }

    #[test]
    fn elements_that_the_type_cannot_hold_are_refused() {
        check_refused(
            DataType::U8,
            json!([1, 256]),
            "input 'x': got 256 as element 1, allowed: whole numbers that UINT8 can hold",
        );
        check_refused(
            DataType::I64,
            json!([1.5]),
            "input 'x': got 1.5 as element 0, allowed: whole numbers that INT64 can hold",
        );
        check_refused(DataType::Bool, json!([1]), "input 'x': got 1 as element 0, allowed: true or false");
        check_refused(DataType::Bytes, json!([null]), "input 'x': got null as element 0, allowed: strings");
        check_refused(DataType::F16, json!([1]), "input 'x': got FP16 as JSON, allowed: FP16 as binary data");
    }

    #[test]
    fn numbers_that_are_not_finite_are_words() {
        let data = TensorData::from(vec![0.1f32, f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
        let written = write("y", &data).unwrap();
        assert_eq!(written, json!([0.1, "NaN", "Infinity", "-Infinity"]));
        let TensorData::F32(read) = read("x", DataType::F32, written).unwrap() else { panic!("not FP32") };
        assert!(read[1].is_nan() && read[2] == f32::INFINITY && read[3] == f32::NEG_INFINITY);
    }

    #[test]
    fn every_64_bit_integer_survives() {
        let data = TensorData::from(vec![u64::MAX, 0]);
        assert_eq!(read("x", DataType::U64, write("y", &data).unwrap()).unwrap(), data);
        let data = TensorData::from(vec![i64::MIN, i64::MAX]);
        assert_eq!(read("x", DataType::I64, write("y", &data).unwrap()).unwrap(), data);
    }
}
