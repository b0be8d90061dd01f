//! Canonical JSON, so that a hash over an entry can be computed again by anybody in any language.
//!
//! The text has no blanks; the members of an object stand in the order of their names' Unicode code points; strings escape
//! `"`, `\` and the control characters (as `\b \f \n \r \t`, else `\u00xx` in lower case) and nothing else; integers are
//! plain digits; other numbers are the shortest text that reads back to the same 64-bit float. Money, prices and quantities
//! are strings in Moneta's events, so floats are rare.
use serde_json::Value;

/// The canonical text of a JSON value.
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut names: Vec<_> = members.iter().collect();
            names.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (position, (name, member)) in names.into_iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                write(&Value::String(name.clone()), text);
                text.push(':');
                write(member, text);
            }
            text.push('}');
        }
        // serde_json writes these four as the rules above say.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_sorted_and_blanks_are_gone() {
        let value = json!({"b": [1, {"z": null, "a": true}], "a": "x\"\n\u{1}é", "10": -1, "9": 0.1});
        assert_eq!(
            canonical_json(&value),
            "{\"10\":-1,\"9\":0.1,\"a\":\"x\\\"\\n\\u0001é\",\"b\":[1,{\"a\":true,\"z\":null}]}"
        );
    }

    #[test]
    fn the_order_in_which_members_were_given_does_not_matter() {
        let one: Value = serde_json::from_str(r#"{"a":1,"b":2}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{ "b" : 2, "a" : 1 }"#).unwrap();
        assert_eq!(canonical_json(&one), canonical_json(&other));
    }
}
