//! The parameters of a request, which both transports read alike.

use std::time::Duration;

use crate::{Error, Result, signature::invalid};

/// A parameter's value, whichever transport brought it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    /// Wide enough for both signed and unsigned 64-bit integers.
    Integer(i128),
    Double(f64),
    Text(String),
}

impl Value {
    fn describe(&self) -> String {
        match self {
            Value::Bool(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Double(value) => value.to_string(),
            Value::Text(value) => format!("'{value}'"),
        }
    }

    /// The value as a flag.
    pub(super) fn as_bool(&self, field: &str) -> Result<bool> {
        match self {
            Value::Bool(value) => Ok(*value),
            other => Err(invalid(field, &other.describe(), "true or false")),
        }
    }

    /// The value as a whole number from 0 to `most`. Triton's clients send some numbers as text.
    pub(super) fn as_u64(&self, field: &str, most: u64) -> Result<u64> {
        let number = match self {
            Value::Integer(value) => u64::try_from(*value).ok(),
            Value::Text(value) => value.parse().ok(),
            Value::Bool(_) | Value::Double(_) => None,
        };
        let allowed = || invalid(field, &self.describe(), &format!("a whole number from 0 to {most}"));
        number.filter(|&number| number <= most).ok_or_else(allowed)
    }
}

/// What a request's parameters ask for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct RequestParameters {
    /// `timeout`: microseconds in the protocol; 0 means none.
    pub timeout: Option<Duration>,
    /// `priority`: 1 is the highest, 0 means none.
    pub priority: u32,
    /// `binary_data_output`: outputs are binary unless they say otherwise (HTTP only).
    pub binary_output: bool,
}

impl RequestParameters {
    /// Reads the parameters of a request. Those the server does not know are the client's own and are passed over.
    pub(super) fn read<'a>(parameters: impl IntoIterator<Item = (&'a str, Value)>) -> Result<Self> {
        let mut read = RequestParameters::default();
        for (name, value) in parameters {
            let field = format!("parameters.{name}");
            match name {
                "timeout" => {
                    let timeout = value.as_u64(&field, u64::MAX)?;
                    read.timeout = (timeout > 0).then(|| Duration::from_micros(timeout));
                }
                "priority" => read.priority = value.as_u64(&field, u32::MAX.into())? as u32,
                "binary_data_output" => read.binary_output = value.as_bool(&field)?,
                // A stream's client asks for an empty last response; every request has one response, which is the last.
                "triton_enable_empty_final_response" => {}
                "sequence_id" | "sequence_start" | "sequence_end" if is_set(&value) => {
                    return Err(Error::Unsupported { what: format!("{field} (sequence batching)") });
                }
                reserved if reserved.starts_with("triton_") => {
                    return Err(invalid(
                        field,
                        &value.describe(),
                        "names that do not start with 'triton_', which are reserved",
                    ));
                }
                _ => {}
            }
        }
        Ok(read)
    }
}

/// Refuses what a tensor's parameters may ask for and this server does not do.
pub(super) fn check_tensor<'a>(field: &str, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
    for name in names {
        if name.starts_with("shared_memory_") || name == "classification" {
            return Err(Error::Unsupported { what: format!("{field}.parameters.{name}") });
        }
    }
    Ok(())
}

fn is_set(value: &Value) -> bool {
    !matches!(value, Value::Bool(false) | Value::Integer(0)) && *value != Value::Text(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeout_is_in_microseconds_and_zero_means_none() {
        let read = |value| RequestParameters::read([("timeout", Value::Integer(value))]).map(|read| read.timeout);
        assert_eq!(read(1500).unwrap(), Some(Duration::from_micros(1500)));
        assert_eq!(read(0).unwrap(), None);
        assert_eq!(
            read(-1).unwrap_err().to_string(),
            format!("parameters.timeout: got -1, allowed: a whole number from 0 to {}", u64::MAX)
        );
    }

    #[test]
    fn reserved_parameters_are_refused_and_a_clients_own_are_passed_over() {
        assert!(RequestParameters::read([("triton_x", Value::Integer(1))]).is_err());
        assert!(RequestParameters::read([("triton_enable_empty_final_response", Value::Bool(true))]).is_ok());
        assert!(RequestParameters::read([("my_own", Value::Double(0.5))]).is_ok());
        let sequence = RequestParameters::read([("sequence_id", Value::Integer(7))]).unwrap_err();
        assert_eq!(sequence.kind(), crate::ErrorKind::Unimplemented);
    }
}
