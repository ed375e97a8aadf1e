//! The JSON Schema of platform files (draft 2020-12), printed from the shapes: editors complete and check with it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::read::Reading;
use crate::shape::{DOCUMENTS, Key, Kind, Shape, Written};

/// One document. Its `$defs` are the objects of the format, by name.
pub fn json_schema() -> Value {
    let mut objects = BTreeMap::new();
    for shape in DOCUMENTS {
        collect(shape, &mut objects);
    }
    let defs: Map<String, Value> = objects.values().map(|shape| (shape.name.to_owned(), object(shape))).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Manade platform file",
        "oneOf": DOCUMENTS.map(|shape| json!({ "$ref": format!("#/$defs/{}", shape.name) })),
        "$defs": defs,
    })
}

fn collect(shape: &'static Shape, objects: &mut BTreeMap<&'static str, &'static Shape>) {
    if objects.insert(shape.name, shape).is_none() {
        for inner in shape.keys.iter().filter_map(|key| key.kind.shape()) {
            collect(inner, objects);
        }
    }
}

fn object(shape: &Shape) -> Value {
    let properties: Map<String, Value> = shape.keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let mut schema = json!({
        "type": "object",
        "description": shape.doc,
        "properties": properties,
        "additionalProperties": false,
    });
    let required: Vec<&str> = shape.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if shape.written != Written::Any {
        schema["minProperties"] = json!(1);
    }
    if shape.written == Written::One {
        schema["maxProperties"] = json!(1);
    }
    schema
}

fn property(key: &Key) -> Value {
    let mut schema = Map::new();
    schema.insert("description".to_owned(), json!(key.doc));
    let Value::Object(own) = of_kind(key.kind) else { return Value::Object(schema) };
    schema.extend(own);
    if let Some(default) = key.default {
        schema.insert("default".to_owned(), value_of(default));
    }
    if !key.examples.is_empty() {
        schema.insert("examples".to_owned(), key.examples.iter().map(|example| value_of(example)).collect());
    }
    Value::Object(schema)
}

fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Text | Kind::Path | Kind::Sql | Kind::Columns | Kind::Type | Kind::TypeOrOuter => {
            json!({ "type": "string", "minLength": 1 })
        }
        Kind::Name => json!({ "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,62}$" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Count => json!({ "type": "integer", "minimum": 1 }),
        Kind::Duration => json!({ "anyOf": [{ "type": "string", "pattern": DURATION }, { "const": 0 }] }),
        Kind::Size => json!({ "anyOf": [{ "type": "string", "pattern": SIZE }, { "type": "integer", "minimum": 1 }] }),
        Kind::Bound => json!({ "type": "string", "anyOf": [{ "pattern": DURATION }, { "pattern": SIZE }] }),
        Kind::Character => json!({ "type": "string", "pattern": r"^([!-/:-@\[-`{-~ \t]|\\t)$" }),
        Kind::Choice([(only, _)]) => json!({ "const": only }),
        Kind::Choice(words) => {
            let each = words.iter().map(|(word, doc)| json!({ "const": word, "description": doc }));
            json!({ "type": "string", "oneOf": each.collect::<Vec<_>>() })
        }
        Kind::Row => json!({ "type": "object" }),
        Kind::List(item, 0) => json!({ "type": "array", "items": of_kind(*item) }),
        Kind::List(item, least) => json!({ "type": "array", "items": of_kind(*item), "minItems": least }),
        Kind::Map(item) => json!({ "type": "object", "additionalProperties": of_kind(*item) }),
        Kind::Object(shape) => json!({ "$ref": format!("#/$defs/{}", shape.name) }),
        Kind::Either(plain, object) => json!({ "anyOf": [of_kind(*plain), of_kind(*object)] }),
    }
}

const DURATION: &str = r"^0$|^( *[0-9]+ *(ms|s|m|h|d|w|[A-Za-z]{2,}))+ *$";
const SIZE: &str = r"^ *[0-9]+ *([KMGTkmgt]?[Ii]?[Bb]|[KMGTkmgt][Ii]|[Bb]ytes?)? *$";

/// Of YAML in the shape tables.
fn value_of(text: &str) -> Value {
    let (documents, _) = crate::yaml::read(text);
    let mut reading = Reading::new(Path::new(""), text);
    documents
        .first()
        .and_then(|document| reading.json(&document.root))
        .expect("the shapes' examples are YAML that JSON can hold")
}

#[cfg(test)]
mod tests;
