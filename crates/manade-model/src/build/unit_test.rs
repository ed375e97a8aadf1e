//! Tests of a pipeline: given events and expected rows, and whether what they name exists.

use serde_json::{Map, Value as Json};

use super::schema::listed;
use crate::pipeline::{EventSchema, Name, PipelineTest, RowColumn, Table};
use crate::read::{Got, Item, Object, Reading};
use crate::types::SparkType;
use crate::yaml::{MERGE, Mark, Node, Value};

/// A row, and where it and its columns stand.
type Row<'i, 'a> = (&'i Map<String, Json>, &'a Node);

/// Rows by what they are of.
type Rows = Vec<(Name, Vec<Map<String, Json>>)>;

/// `schema` and `tables` are `None` where they are wrong: then what names their parts is not judged.
pub(super) fn tests(
    reading: &mut Reading<'_>,
    spec: &Object<'_>,
    schema: Option<&EventSchema>,
    tables: Option<&[Table]>,
) -> Vec<PipelineTest> {
    let is_pushed = spec.object("source").and_then(super::source::pushed).is_some();
    let results = super::result_names(reading, spec);
    let objects: Vec<&Object<'_>> = super::objects(spec, "tests").collect();
    let mut tests: Vec<PipelineTest> = Vec::new();
    for object in objects {
        let given = rows(object.list("given"));
        if let Some(schema) = schema {
            for row in &given {
                columns(reading, row, schema, if is_pushed { Some("_meta") } else { None });
            }
        }
        let (tables_given, table_columns) = table_rows(reading, object, tables);
        let (expect, expected_columns) = expected(reading, object, &results, spec.is_sound("results"));
        let Some((name, item)) = object.text("name").zip(object.get("name")) else { continue };
        if let Some(first) = tests.iter().find(|test| test.name == name) {
            let message = format!("a second test is called `{name}`, the first is in line {}", first.place.line);
            reading.error(item.mark, message, Some("rename one of them".to_owned()));
        }
        tests.push(PipelineTest {
            name: name.to_owned(),
            given: given.into_iter().map(|(row, _)| row.clone()).collect(),
            tables: tables_given,
            expect,
            table_columns,
            expected_columns,
            place: reading.place(item.mark),
        });
    }
    tests
}

fn table_rows(reading: &mut Reading<'_>, object: &Object<'_>, tables: Option<&[Table]>) -> (Rows, Vec<RowColumn>) {
    let (mut all, mut inferred) = (Vec::new(), Vec::new());
    for (name, mark, item) in object.map("tables") {
        let rows = list(item);
        if let Some(tables) = tables {
            match tables.iter().find(|table| table.name.as_str() == *name) {
                None => unknown(reading, "table", name, *mark, tables.iter().map(|table| table.name.as_str())),
                Some(Table { schema: Some(schema), .. }) => {
                    for row in &rows {
                        columns(reading, row, schema, None);
                    }
                }
                Some(table) => named_columns(reading, &table.name, &rows, &mut inferred),
            }
        }
        all.extend(Name::new(name).map(|name| (name, rows.into_iter().map(|(row, _)| row.clone()).collect())));
    }
    (all, inferred)
}

/// The columns that rows name, each where it first stands.
fn named_columns(reading: &Reading<'_>, of: &Name, rows: &[Row<'_, '_>], named: &mut Vec<RowColumn>) {
    let maps =
        rows.iter().filter_map(|(_, node)| if let Value::Map(entries) = &node.value { Some(entries) } else { None });
    for entry in maps.flatten().filter(|entry| entry.key != MERGE) {
        if !named.iter().any(|known| known.of == *of && known.column == entry.key) {
            named.push(RowColumn { of: of.clone(), column: entry.key.clone(), place: reading.place(entry.mark) });
        }
    }
}

fn expected(
    reading: &mut Reading<'_>,
    object: &Object<'_>,
    results: &[(Name, crate::Place)],
    is_whole: bool,
) -> (Rows, Vec<RowColumn>) {
    if object.map("expect").is_empty() && object.is_sound("expect") {
        let mark = object.key_mark("expect").unwrap_or(Mark { line: 1, column: 1 });
        reading.error(
            mark,
            "`expect` is empty".to_owned(),
            Some("write `result: [{ column: value, ... }]` under it".to_owned()),
        );
    }
    let (mut all, mut named) = (Vec::new(), Vec::new());
    for (name, mark, item) in object.map("expect") {
        let is_known = results.iter().any(|(result, _)| result.as_str() == *name);
        if is_whole && !is_known {
            unknown(reading, "result", name, *mark, results.iter().map(|(result, _)| result.as_str()));
        }
        let Some(name) = Name::new(name) else { continue };
        let rows = list(item);
        named_columns(reading, &name, &rows, &mut named);
        all.push((name, rows.into_iter().map(|(row, _)| row.clone()).collect()));
    }
    (all, named)
}

fn unknown<'n>(reading: &mut Reading<'_>, what: &str, name: &str, mark: Mark, known: impl Iterator<Item = &'n str>) {
    let known: Vec<&str> = known.collect();
    let hint = match crate::closest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("this pipeline has no {what}s"),
        None => format!("the {what}s are {}", known.join(", ")),
    };
    reading.error(mark, format!("unknown {what} `{name}`"), Some(hint));
}

/// A row's names against a schema; and numbers that a string column would get in another writing.
fn columns(reading: &mut Reading<'_>, (_, node): &Row<'_, '_>, schema: &EventSchema, also: Option<&str>) {
    let Value::Map(entries) = &node.value else { return };
    for entry in entries.iter().filter(|entry| entry.key != MERGE && also != Some(entry.key.as_str())) {
        let Some(field) = schema.at(std::slice::from_ref(&entry.key)) else {
            let hint = match crate::closest(&entry.key, schema.fields.iter().map(|field| field.name.as_str())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the columns are {}", listed(&schema.fields)),
            };
            reading.error(entry.mark, format!("unknown column `{}`", entry.key), Some(hint));
            continue;
        };
        if let Value::Scalar(scalar) = &entry.node.value
            && field.data_type == SparkType::String
            && scalar.is_number()
        {
            let message = format!("`{}` is a string, and `{}` is a number in YAML", entry.key, scalar.text);
            reading.note(entry.node.mark, &message, Some(&format!("quote it: `\"{}\"`", scalar.text)));
        }
    }
}

fn list<'i, 'a>(item: &'i Item<'a>) -> Vec<Row<'i, 'a>> {
    if let Got::List(items) = &item.got { rows(items) } else { Vec::new() }
}

fn rows<'i, 'a>(items: &'i [Item<'a>]) -> Vec<Row<'i, 'a>> {
    items
        .iter()
        .filter_map(|item| if let Got::Row(row, node) = &item.got { Some((row, *node)) } else { None })
        .collect()
}
