//! Rows of tests: YAML as JSON.

use serde_json::{Map, Number, Value as Json};

use super::Reading;
use crate::yaml::{MERGE, Node, Scalar, Value};

impl Reading<'_> {
    /// `None` where a value within cannot be JSON.
    pub(super) fn row(&mut self, node: &Node) -> Option<Map<String, Json>> {
        match self.json(node)? {
            Json::Object(row) => Some(row),
            _ => None,
        }
    }

    pub(crate) fn json(&mut self, node: &Node) -> Option<Json> {
        match &node.value {
            Value::Scalar(scalar) => self.json_scalar(node, scalar),
            Value::List(nodes) => {
                let values: Vec<Option<Json>> = nodes.iter().map(|node| self.json(node)).collect();
                values.into_iter().collect::<Option<Vec<Json>>>().map(Json::Array)
            }
            Value::Map(entries) => {
                let own = entries.iter().filter(|entry| entry.key != MERGE);
                let values: Vec<_> = own.map(|entry| Some((entry.key.clone(), self.json(&entry.node)?))).collect();
                values.into_iter().collect::<Option<Map<String, Json>>>().map(Json::Object)
            }
        }
    }

    fn json_scalar(&mut self, node: &Node, scalar: &Scalar) -> Option<Json> {
        if scalar.is_null() {
            return Some(Json::Null);
        }
        if let Some(flag) = scalar.boolean() {
            return Some(Json::Bool(flag));
        }
        if !scalar.is_number() {
            return Some(Json::String(scalar.text.clone()));
        }
        let text = scalar.text.as_str();
        match number(text) {
            Ok(number) => Some(Json::Number(number)),
            Err(why) => {
                let hint = Some(format!("write a JSON number, or quote it if it is text: `\"{text}\"`"));
                self.error(node.mark, format!("the number `{text}` {why}"), hint);
                None
            }
        }
    }
}

/// Numbers that YAML and JSON read alike, and that are kept exactly as far as JSON parsers keep them.
fn number(text: &str) -> Result<Number, &'static str> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if unsigned.starts_with('+') || unsigned.starts_with("0x") || unsigned.starts_with("0o") {
        return Err("is not written as JSON writes numbers");
    }
    if unsigned.starts_with('0') && unsigned[1..].starts_with(|c: char| c.is_ascii_digit()) {
        return Err("has leading zeros, which YAML drops");
    }
    if unsigned.chars().all(|c| c.is_ascii_digit()) {
        let exact = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
        return exact.map_err(|_| "is too large to be kept exactly");
    }
    let float = text.parse::<f64>().ok().filter(|float| float.is_finite());
    float.and_then(Number::from_f64).ok_or("cannot be written in JSON")
}
