//! A collection's paths: its columns decide the parameters' and the answers' schemas.

use arrow::datatypes::DataType;
use manade_functions::spark_name;
use manade_pipeline::collection::{CollectionInfo, OutputColumn};
use serde_json::{Map, Value, json};

use super::types::schema_of;
use super::{problems, request_id, responses};
use crate::query::LARGEST_COUNT;

/// Names that the grammar keeps for itself: a column of that name is filtered inside `and=(...)`.
const RESERVED: [&str; 10] =
    ["select", "order", "limit", "offset", "and", "or", "not.and", "not.or", "columns", "on_conflict"];

pub fn list() -> Value {
    let answer = json!({
        "description": "The collections, with their columns and how fresh they are.",
        "headers": request_id(),
        "content": { "application/json": { "schema": {
            "type": "array", "items": { "$ref": "#/components/schemas/collection" },
        } } },
    });
    json!({ "get": {
        "tags": ["results"],
        "operationId": "collections",
        "summary": "All collections",
        "responses": responses(200, answer, &[]),
    } })
}

pub fn row_schema(info: &CollectionInfo) -> Value {
    let properties: Map<String, Value> = info
        .columns
        .iter()
        .map(|column| {
            let mut schema = schema_of(&column.data_type);
            schema["x-spark-type"] = Value::from(spark_name(&column.data_type));
            (column.name.clone(), schema)
        })
        .collect();
    json!({ "type": "object", "description": info.description, "properties": properties })
}

pub fn rows(info: &CollectionInfo) -> Value {
    let row = json!({ "$ref": format!("#/components/schemas/row.{}", info.name) });
    let text = json!({ "schema": { "type": "string" } });
    let binary = json!({ "schema": { "type": "string", "contentMediaType": "application/octet-stream" } });
    let content = json!({
        "application/json": { "schema": { "type": "array", "items": row } },
        "application/vnd.pgrst.object+json": { "schema": row },
        "application/x-ndjson": text,
        "text/csv": text,
        "application/vnd.apache.arrow.stream": binary,
        "application/vnd.apache.parquet": binary,
    });
    let answer = |description: &str| json!({ "description": description, "headers": headers(), "content": content });
    let mut all = responses(200, answer("The rows."), &[400, 404, 406, 416, 503]);
    all["206"] = answer("A part of the rows, where they were counted.");
    all["304"] = json!({ "description": "The rows are those of the client's ETag.", "headers": headers() });
    let description = info.description.clone().unwrap_or_default();
    let operation = |method: &str, responses: Value| {
        json!({
            "tags": ["results"],
            "operationId": format!("{method}.{}", info.name),
            "summary": format!("Rows of {}", info.name),
            "description": format!(
                "{description}\n\nPostgREST's query grammar: `select` with aliases, casts and paths, filters by column, \
                 nested `and` and `or`, `order`, `limit`, `offset`. JSON gives 1,000 rows unless `limit` says otherwise; \
                 the `Link` header leads to the next page."
            ),
            "parameters": parameters(info),
            "responses": responses,
        })
    };
    let mut head = all.clone();
    if let Value::Object(responses) = &mut head {
        for response in responses.values_mut() {
            if let Value::Object(response) = response {
                response.remove("content");
            }
        }
    }
    json!({ "get": operation("get", all), "head": operation("head", head) })
}

pub fn changes(info: &CollectionInfo) -> Value {
    let answer = json!({
        "description": "Server-sent events `upsert`, `append` and `delete`, each with an id and the row.",
        "headers": headers(),
        "content": { "text/event-stream": { "schema": { "type": "string" } } },
    });
    let mut responses = responses(200, answer, &[400, 404, 503]);
    if let Value::Object(responses) = &mut responses {
        responses.extend(problems(&[410]));
    }
    json!({ "get": {
        "tags": ["results"],
        "operationId": format!("changes.{}", info.name),
        "summary": format!("Changes of {} as they happen", info.name),
        "description": "From now on, from the present rows with `snapshot=true`, or from where `Last-Event-ID` says. \
                        Versions of a row between two others may be left out, its last never.",
        "parameters": [
            { "name": "snapshot", "in": "query", "schema": { "type": "boolean", "default": false } },
            { "name": "Last-Event-ID", "in": "header", "schema": { "type": "string" } },
        ],
        "responses": responses,
    } })
}

fn headers() -> Value {
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    json!({
        "x-request-id": request_id()["x-request-id"],
        "x-manade-commit": text("The commit that the rows are of."),
        "x-manade-watermark": text("The watermark."),
        "x-manade-newest": text("Event time of the newest event."),
        "x-manade-age": text("Seconds since the newest event's time."),
        "etag": text("Changes with the rows."),
        "content-range": text("First and last row, and how many there are (`*` where not counted)."),
        "link": text("The next page, `rel=\"next\"`."),
    })
}

fn parameters(info: &CollectionInfo) -> Value {
    let query = |name: &str, description: &str, schema: Value| json!({ "name": name, "in": "query", "description": description, "schema": schema });
    let selected: Vec<String> = info.columns.iter().map(select_pattern).collect();
    let item = format!("([A-Za-z_][A-Za-z0-9_]{{0,30}}:)?({})(::text)?", selected.join("|"));
    let sortable: Vec<String> = info
        .columns
        .iter()
        .filter(|column| is_sortable(&column.data_type))
        .map(|column| escaped(&quoted(&column.name)))
        .collect();
    let sorted = sortable.join("|");
    let whole = json!({ "type": "integer", "minimum": 0, "maximum": LARGEST_COUNT });
    let mut parameters = vec![query(
        "select",
        "Columns of the answer, all by default; `alias:column`, `column::type` and paths (`a->b`, `a->>b`) too.",
        json!({ "type": "string", "pattern": format!("^(\\*|{item}(,{item}){{0,30}})?$"), "examples": ["*"] }),
    )];
    if !sortable.is_empty() {
        let item = format!("({sorted})(\\.(asc|desc))?(\\.(nullsfirst|nullslast))?");
        let pattern = format!("^{item}(,{item}){{0,3}}$");
        parameters.push(query(
            "order",
            "`column.desc.nullslast`, several by commas.",
            json!({ "type": "string", "pattern": pattern }),
        ));
    }
    parameters.push(query("limit", "Rows at most.", whole.clone()));
    parameters.push(query("offset", "Rows to leave out first.", whole));
    parameters.push(query(
        "format",
        "In place of the Accept header.",
        json!({ "type": "string", "enum": ["json", "ndjson", "csv", "arrow", "parquet"] }),
    ));
    for column in info.columns.iter().filter(|column| !RESERVED.contains(&column.name.as_str())) {
        let description = format!("Filter on a {}.", spark_name(&column.data_type));
        parameters.push(query(
            &column.name,
            &description,
            json!({ "type": "string", "pattern": filter_pattern(column) }),
        ));
    }
    let header = |name: &str, description: &str, schema: Value| json!({ "name": name, "in": "header", "description": description, "schema": schema });
    // Any text is a preference: those that are not known are left alone.
    parameters.push(header("Prefer", "`count=exact` counts all rows that match.", json!({ "type": "string" })));
    parameters.push(header("Range", "`first-last`, counted from 0.", json!({ "type": "string" })));
    parameters.push(header("If-None-Match", "The ETag of an answer that the client has.", json!({ "type": "string" })));
    Value::Array(parameters)
}

/// A column as it may stand in `select`, as a regular expression.
fn select_pattern(column: &OutputColumn) -> String {
    let name = escaped(&quoted(&column.name));
    let DataType::Struct(fields) = &column.data_type else { return name };
    let fields: Vec<String> = fields.iter().map(|field| escaped(&quoted(field.name()))).collect();
    format!("{name}(->>?({}))?", fields.join("|"))
}

const DATE: &str = "([12][0-9]{3}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)|[12][0-9](0[48]|[2468][048]|[13579][26])-02-29)";

/// Filters on a column, as a regular expression of what is always accepted: pages such as Swagger UI let nothing else be
/// sent. Left out are nested lists, quantifiers (`any`, `all`) and quoted items.
fn filter_pattern(column: &OutputColumn) -> String {
    let literal = match &column.data_type {
        DataType::Boolean => "(true|false)".to_owned(),
        DataType::Int8 => "-?([0-9]{1,2}|1[01][0-9]|12[0-7])".to_owned(),
        DataType::Int16 => "-?([0-9]{1,4}|[12][0-9]{4}|3[01][0-9]{3})".to_owned(),
        DataType::Int32 => "-?([0-9]{1,9}|1[0-9]{9}|20[0-9]{8})".to_owned(),
        DataType::Int64 => "-?([0-9]{1,18}|[1-8][0-9]{18})".to_owned(),
        DataType::Float32 | DataType::Float64 => r"-?[0-9]{1,15}(\.[0-9]{1,15})?([eE]-?[0-9]{1,2})?".to_owned(),
        DataType::Decimal128(..) => r"-?[0-9]{1,18}(\.[0-9]{1,18})?".to_owned(),
        DataType::Date32 => DATE.to_owned(),
        DataType::Timestamp(..) => format!(r"{DATE}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{{1,6}})?Z"),
        DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8 => {
            let item = r#"[^,(){}"\\]{1,200}"#;
            return format!(
                r"^(not\.)?((eq|neq|gt|gte|lt|lte|isdistinct)\..*|(like|ilike)\.[^\\]*|(match|imatch)\.\^?[A-Za-z0-9 _-]*\$?|is\.(null|not_null)|in\.\({item}(,{item})*\))$"
            );
        }
        _ => return r"^(not\.)?is\.(null|not_null)$".to_owned(),
    };
    format!(
        r"^(not\.)?((eq|neq|gt|gte|lt|lte|isdistinct)\.{literal}|is\.(null|not_null)|in\.\({literal}(,{literal})*\))$"
    )
}

fn is_sortable(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(_) | DataType::LargeList(_) | DataType::Map(..) => false,
        DataType::Struct(fields) => fields.iter().all(|field| is_sortable(field.data_type())),
        _ => true,
    }
}

/// As it is written in `select`.
fn quoted(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")) }
}

/// For a regular expression.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if !(c.is_ascii_alphanumeric() || c == '_' || c == '"' || c == ' ') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
