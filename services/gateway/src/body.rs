//! Bodies of requests: JSON read field by field, so that an error names the field, the value and what is allowed.
use crate::{App, Error, Result};
use ::http::{HeaderMap, HeaderName, header};
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use moneta_contracts::common;
use moneta_kit::problem::{Problem, parse};
use moneta_types::{Currency, Money, bounds};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt};
use utoipa::ToSchema;

/// Something that can be read from JSON. `path` is the field's place in the body, empty for the whole.
pub(crate) trait Read: Sized {
    /// What is allowed, for the error.
    const ALLOWED: &'static str;

    /// Reads a value; a field that is missing is read as null.
    fn read(path: &str, value: Value) -> Result<Self, Problem>;
}

/// How deep lists and objects may be nested in a body; the deepest of ours has four levels.
const DEEPEST: usize = 32;

/// The body of a request.
pub(crate) struct Body<T>(pub T);

impl<T: Read> FromRequest<App> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let value = json(request, app).await?;
        Ok(Self(T::read("", value.unwrap_or_default())?))
    }
}

/// The body of a request that may have none.
pub(crate) struct OptionalBody<T>(pub T);

impl<T: Read> FromRequest<App> for OptionalBody<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let value = json(request, app).await?;
        Ok(Self(T::read("", value.unwrap_or_else(|| Value::Object(Map::new())))?))
    }
}

/// The JSON of a body; none when it is empty.
pub(crate) async fn json(request: Request, app: &App) -> Result<Option<Value>> {
    let kind = once(request.headers(), &header::CONTENT_TYPE, "Content-Type")?.unwrap_or_default();
    if let Some(encoding) = once(request.headers(), &header::CONTENT_ENCODING, "Content-Encoding")? {
        return Err(Problem::invalid("Content-Encoding", encoding, "none: a body is read as it is").into());
    }
    let bytes = Bytes::from_request(request, app).await.map_err(|rejection| {
        if rejection.status() == ::http::StatusCode::PAYLOAD_TOO_LARGE {
            Error::TooLarge(app.config().body_limit_bytes)
        } else {
            Problem::invalid("body", "", "a body that arrives whole").into()
        }
    })?;
    if bytes.is_empty() {
        return Ok(None);
    }
    // JSON is UTF-8 (RFC 8259, section 8.1).
    let is_json = kind.parse::<mime::Mime>().is_ok_and(|kind| {
        kind.type_() == mime::APPLICATION
            && (kind.subtype() == mime::JSON || kind.suffix() == Some(mime::JSON))
            && kind.get_param(mime::CHARSET).is_none_or(|charset| charset == mime::UTF_8)
    });
    if !is_json {
        return Err(Error::NotJson(shortened(kind)));
    }
    let levels = levels(&bytes);
    if levels > DEEPEST {
        let allowed = format!("lists and objects at most {DEEPEST} deep");
        return Err(Problem::invalid("body", format!("{levels} deep"), allowed).into());
    }
    let Strict(value) =
        serde_json::from_slice(&bytes).map_err(|error| Problem::invalid("body", error, "a JSON document"))?;
    Ok(Some(value))
}

/// The value of a header that may be given once.
fn once(headers: &HeaderMap, name: &HeaderName, shown: &str) -> Result<Option<String>> {
    let mut values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    match (values.next(), values.next()) {
        (first, None) => Ok(first),
        (_, Some(second)) => Err(Problem::invalid(shown, second, "one value").into()),
    }
}

/// How deep lists and objects are nested, counted in one pass before a parser recurses into them. A text may hold any bracket.
fn levels(json: &[u8]) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => {
                open += 1;
                most = most.max(open);
            }
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// JSON whose objects name every field once. Readers that disagree on which of two counts could be told two stories
/// (RFC 8259, section 4).
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl<'de> Visitor<'de> for Visit {
            type Value = Strict;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Strict, E> {
                Ok(Strict(Value::Null))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Strict, E> {
                Ok(Strict(value.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Strict, A::Error> {
                let mut list = Vec::new();
                while let Some(Strict(item)) = items.next_element()? {
                    list.push(item);
                }
                Ok(Strict(Value::Array(list)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Strict, A::Error> {
                let mut object = Map::new();
                while let Some((key, Strict(value))) = items.next_entry::<String, Strict>()? {
                    if object.contains_key(&key) {
                        return Err(A::Error::custom(format!("the field {:?} is there twice", shortened(key))));
                    }
                    object.insert(key, value);
                }
                Ok(Strict(Value::Object(object)))
            }
        }

        deserializer.deserialize_any(Visit)
    }
}

fn wrong<T: Read>(path: &str, value: &Value) -> Problem {
    let given = match value {
        Value::Null => return Problem::invalid(name(path), "", format!("required: {}", T::ALLOWED)),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Problem::invalid(name(path), shortened(given), T::ALLOWED)
}

fn name(path: &str) -> &str {
    if path.is_empty() { "body" } else { path }
}

fn place(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// An error repeats what was given, but not a whole document.
fn shortened(text: String) -> String {
    const MOST: usize = 80;
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST).chain(['…']).collect() }
}

/// The fields of an object, taken one by one. One that nobody knows is refused: a misspelt limit must not be taken for none.
pub(crate) struct Fields<'a> {
    path: &'a str,
    values: Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The fields of an object that may have the `known` ones and no others.
    pub(crate) fn of<T: Read>(path: &'a str, value: Value, known: &[&str]) -> Result<Self, Problem> {
        let values = match value {
            Value::Object(values) => values,
            other => return Err(wrong::<T>(path, &other)),
        };
        let bare = |name: &&str| name.trim_start_matches("r#").to_owned();
        let known: Vec<String> = known.iter().map(bare).collect();
        match values.iter().find(|(name, _)| !known.contains(name)) {
            Some((name, value)) => {
                let allowed = format!("no field of this name: {}", known.join(", "));
                Err(Problem::invalid(place(path, &shortened(name.clone())), shortened(value.to_string()), allowed))
            }
            None => Ok(Self { path, values }),
        }
    }

    /// The field with the name of a struct's field (`r#type` is "type").
    pub(crate) fn take<T: Read>(&mut self, field: &str) -> Result<T, Problem> {
        let field = field.trim_start_matches("r#");
        let path = place(self.path, field);
        T::read(&path, self.values.remove(field).unwrap_or_default())
    }
}

/// Declares a body: the struct, its schema, and how it is read.
macro_rules! body {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident : $ty:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, utoipa::ToSchema)]
        pub(crate) struct $name { $($(#[$doc])* pub $field: $ty),* }

        impl crate::body::Read for $name {
            const ALLOWED: &'static str = "an object";

            fn read(path: &str, value: serde_json::Value) -> Result<Self, moneta_kit::problem::Problem> {
                let known = &[$(stringify!($field)),*];
                let mut fields = crate::body::Fields::of::<Self>(path, value, known)?;
                Ok(Self { $($field: fields.take(stringify!($field))?),* })
            }
        }
    };
}
pub(crate) use body;

impl Read for String {
    const ALLOWED: &'static str = "a text";

    fn read(path: &str, value: Value) -> Result<Self, Problem> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(wrong::<Self>(path, &other)),
        }
    }
}

impl Read for bool {
    const ALLOWED: &'static str = "true or false";

    fn read(path: &str, value: Value) -> Result<Self, Problem> {
        value.as_bool().ok_or_else(|| wrong::<Self>(path, &value))
    }
}

impl Read for u32 {
    const ALLOWED: &'static str = "a whole number, 0 or above";

    fn read(path: &str, value: Value) -> Result<Self, Problem> {
        value.as_u64().and_then(|number| Self::try_from(number).ok()).ok_or_else(|| wrong::<Self>(path, &value))
    }
}

impl Read for Value {
    const ALLOWED: &'static str = "any JSON";

    fn read(_: &str, value: Value) -> Result<Self, Problem> {
        Ok(value)
    }
}

impl<T: Read> Read for Option<T> {
    const ALLOWED: &'static str = T::ALLOWED;

    fn read(path: &str, value: Value) -> Result<Self, Problem> {
        if value.is_null() { Ok(None) } else { T::read(path, value).map(Some) }
    }
}

impl<T: Read> Read for Vec<T> {
    const ALLOWED: &'static str = "a list";

    fn read(path: &str, value: Value) -> Result<Self, Problem> {
        match value {
            Value::Array(items) => {
                items.into_iter().enumerate().map(|(nth, item)| T::read(&format!("{path}[{nth}]"), item)).collect()
            }
            other => Err(wrong::<Self>(path, &other)),
        }
    }
}

impl<T: Read> Read for BTreeMap<String, T> {
    const ALLOWED: &'static str = "an object";

    fn read(path: &str, value: Value) -> Result<Self, Problem> {
        match value {
            Value::Object(items) => items
                .into_iter()
                .map(|(key, item)| {
                    let value = T::read(&place(path, &key), item)?;
                    Ok((key, value))
                })
                .collect(),
            other => Err(wrong::<Self>(path, &other)),
        }
    }
}

/// An amount of money in a request.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(as = MoneyInput)]
pub(crate) struct Amount {
    /// A decimal number as text, with no more decimals than the currency has.
    #[schema(value_type = String, example = "1250.50")]
    pub amount: Money,
    /// ISO 4217 code.
    #[schema(value_type = String, example = "USD")]
    #[allow(dead_code, reason = "part of the schema; `amount` carries it")]
    pub currency: Currency,
}

impl Read for Amount {
    const ALLOWED: &'static str = r#"money such as {"amount": "1250.50", "currency": "USD"}"#;

    fn read(path: &str, value: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of::<Self>(path, value, &["amount", "currency"])?;
        let currency: Currency = parse(&format!("{path}.currency"), &fields.take::<String>("currency")?)?;
        let text: String = fields.take("amount")?;
        let amount = Money::parse(&text, currency).and_then(bounds::amount).map_err(|error| {
            let allowed = match error {
                moneta_types::Error::Invalid { allowed, .. } => allowed.to_owned(),
                other => other.to_string(),
            };
            Problem::invalid(format!("{path}.amount"), &text, allowed)
        })?;
        Ok(Self { amount, currency })
    }
}

impl From<Amount> for common::Money {
    fn from(amount: Amount) -> Self {
        amount.amount.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    body! {
        /// A body.
        Sample {
            name: String,
            r#type: Option<String>,
            years: u32,
            tags: Vec<String>,
            price: Option<Amount>,
        }
    }

    fn fault(value: Value) -> (String, String, String) {
        let problem = Sample::read("", value).unwrap_err();
        let field = problem.fields[0].clone();
        (field.field, field.value, field.allowed)
    }

    #[test]
    fn unknown_fields_are_refused_and_optional_ones_may_be_missing() {
        let (field, value, allowed) = fault(json!({"name": "a", "years": 3, "tags": [], "yaers": 1}));
        assert_eq!((field.as_str(), value.as_str()), ("yaers", "1"));
        assert_eq!(allowed, "no field of this name: name, type, years, tags, price");
        let inner =
            json!({"name": "a", "years": 3, "tags": [], "price": {"amount": "1", "currency": "USD", "sign": "-"}});
        assert_eq!(fault(inner).0, "price.sign");
        let sample = Sample::read("", json!({"name": "a", "years": 3, "tags": [], "type": "x"})).unwrap();
        assert_eq!((sample.name.as_str(), sample.r#type.as_deref(), sample.years), ("a", Some("x"), 3));
        assert!(sample.tags.is_empty() && sample.price.is_none());
    }

    #[test]
    fn an_error_names_the_field_the_value_and_what_is_allowed() {
        let told = |field: &str, value: &str, allowed: &str| (field.to_owned(), value.to_owned(), allowed.to_owned());
        assert_eq!(fault(json!([])), told("body", "[]", "an object"));
        assert_eq!(fault(json!({})), told("name", "", "required: a text"));
        assert_eq!(fault(json!({"name": 5})), told("name", "5", "a text"));
        let years = "a whole number, 0 or above";
        assert_eq!(fault(json!({"name": "a", "years": -1})), told("years", "-1", years));
        assert_eq!(fault(json!({"name": "a", "years": "3"})), told("years", "3", years));
        assert_eq!(fault(json!({"name": "a", "years": 3, "tags": ["x", 1]})), told("tags[1]", "1", "a text"));
    }

    #[test]
    fn a_field_that_is_there_twice_is_refused_at_any_depth() {
        let parsed = |text: &str| serde_json::from_str::<Strict>(text).map(|strict| strict.0);
        let plain = r#"{"a": [1, -2, 3.5, null, true, {"b": "x"}], "b": {}}"#;
        assert_eq!(parsed(plain).unwrap(), serde_json::from_str::<Value>(plain).unwrap());
        for twice in [r#"{"a": 1, "a": 1}"#, r#"{"x": [{"a": 1, "b": 2, "a": 3}]}"#, r#"{"a": 1, "\u0061": 2}"#] {
            assert!(parsed(twice).unwrap_err().to_string().contains("\"a\" is there twice"), "{twice}");
        }
        assert!(parsed(&"[".repeat(100_000)).unwrap_err().to_string().contains("recursion"));
    }

    #[test]
    fn nesting_is_counted_without_recursion_and_not_in_texts() {
        for (json, expected) in [
            ("", 0),
            ("1", 0),
            (r#"{"a":[1,{"b":[]}]}"#, 4),
            (r#"[[],[],[]]"#, 2),
            (r#"["[[[","\"[[[","\\",[]]"#, 2),
            (r#"{"a\"{":1}"#, 1),
            ("]]]]{[", 2),
        ] {
            assert_eq!(levels(json.as_bytes()), expected, "{json}");
        }
        assert_eq!(levels(&b"[".repeat(1_000_000)), 1_000_000);
    }

    #[test]
    fn money_is_exact_text_in_a_known_currency() {
        let with = |price: Value| json!({"name": "a", "years": 3, "tags": [], "price": price});
        let sample = Sample::read("", with(json!({"amount": "12.34", "currency": "USD"}))).unwrap();
        assert_eq!(common::Money::from(sample.price.unwrap()).minor_units, 1234);
        assert_eq!(fault(with(json!({"amount": "12.345", "currency": "USD"}))).0, "price.amount");
        assert_eq!(fault(with(json!({"amount": 12.34, "currency": "USD"}))).0, "price.amount");
        assert_eq!(fault(with(json!({"amount": "1", "currency": "XXX"}))).0, "price.currency");
        let (field, value, allowed) = fault(with(json!({"amount": "92233720368547758.07", "currency": "USD"})));
        assert_eq!((field.as_str(), value.as_str()), ("price.amount", "92233720368547758.07"));
        assert!(allowed.starts_with("at most 100,000,000,000.00"), "{allowed}");
    }

    #[test]
    fn what_was_given_is_repeated_but_not_without_end() {
        let (_, value, _) = fault(json!({"name": vec![1; 1000]}));
        assert!(value.chars().count() < 100);
    }
}
