use super::*;

/// A validator of the keywords that the schema uses.
fn fits(schema: &Value, value: &Value, root: &Value) -> bool {
    let schema = match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let type_fits = match schema.get("type").and_then(Value::as_str) {
        None => true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_u64(),
        Some(other) => panic!("unknown type {other}"),
    };
    let pattern = schema.get("pattern").and_then(Value::as_str);
    let pattern_fits = value
        .as_str()
        .is_none_or(|text| pattern.is_none_or(|pattern| regex::Regex::new(pattern).unwrap().is_match(text)));
    let alternatives = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    let members_fit = value.as_object().is_none_or(|members| {
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let at_most = schema.get("maxProperties").and_then(Value::as_u64);
        required.into_iter().all(|name| members.contains_key(name.as_str().unwrap()))
            && at_most.is_none_or(|most| members.len() as u64 <= most)
            && members.iter().all(|(name, member)| {
                match schema.get("properties").and_then(|properties| properties.get(name)) {
                    Some(property) => fits(property, member, root),
                    None => match schema.get("additionalProperties") {
                        Some(Value::Bool(allowed)) => *allowed,
                        Some(inner) => fits(inner, member, root),
                        None => true,
                    },
                }
            })
    });
    let items_fit = value.as_array().is_none_or(|items| {
        items.iter().all(|item| schema.get("items").is_none_or(|schema| fits(schema, item, root)))
            && schema.get("minItems").and_then(Value::as_u64).is_none_or(|least| items.len() as u64 >= least)
    });
    type_fits
        && pattern_fits
        && members_fit
        && items_fit
        && schema.get("const").is_none_or(|only| only == value)
        && alternatives.is_none_or(|schemas| schemas.iter().any(|schema| fits(schema, value, root)))
}

fn check(yaml: &str, expect: bool) {
    let schema = json_schema();
    assert_eq!(fits(&schema, &value_of(yaml), &schema), expect, "{yaml}");
}

#[test]
fn the_issues_example_fits() {
    let example = include_str!("../tests/flights.yaml");
    check(example, true);
    check(&example.replace("lateness:", "latenes:"), false);
    check(&example.replace("late: drop", "late: never"), false);
    check(&example.replace("follow: true", "follow: 'yes'"), false);
    check(&example.replace("    - name: hourly\n      sql", "    - sql"), false);
    check(&example.replace("    file:\n      path", "    http: {}\n    file:\n      path"), false);
}

#[test]
fn every_default_and_example_fits_its_key() {
    let schema = json_schema();
    let mut seen = 0;
    for object in schema["$defs"].as_object().unwrap().values() {
        for (name, property) in object["properties"].as_object().unwrap() {
            assert!(property["description"].as_str().unwrap().len() > 10, "{name}");
            let examples = property.get("examples").and_then(Value::as_array).into_iter().flatten();
            for value in examples.chain(property.get("default")) {
                assert!(fits(property, value, &schema), "{name}: {value}");
                seen += 1;
            }
        }
    }
    assert!(seen > 30);
}

#[test]
fn the_schema() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&json_schema()).unwrap());
}
