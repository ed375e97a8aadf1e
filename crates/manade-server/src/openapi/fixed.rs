//! Paths that every platform has, and the ingest paths.

use serde_json::{Map, Value, json};

use super::types::event_schema_of;
use super::{request_id, responses};
use crate::backend::IngestInfo;
use crate::control::{LARGEST_ID, LARGEST_PAGE};

pub fn schemas() -> Map<String, Value> {
    let counter = || json!({ "type": "integer", "minimum": 0 });
    let moment = || json!({ "type": ["string", "null"], "format": "date-time" });
    let text = || json!({ "type": ["string", "null"] });
    let result = object(&[
        ("name", json!({ "type": "string" })),
        ("selected", counter()),
        ("written", counter()),
        ("late", counter()),
        ("failed", counter()),
        ("expired", counter()),
        ("rows", counter()),
        ("watermark", moment()),
        ("sinks", json!({ "type": "array", "items": { "$ref": "#/components/schemas/sink" } })),
    ]);
    let sink = object(&[
        ("name", json!({ "type": "string" })),
        ("delivered", counter()),
        ("refused", counter()),
        ("waiting", counter()),
        ("trouble", text()),
    ]);
    let feed = object(&[
        ("trouble", text()),
        ("received", counter()),
        ("repeated", counter()),
        ("unacknowledged", counter()),
        ("ready", json!({ "type": ["integer", "null"] })),
    ]);
    let pipeline = object(&[
        ("name", json!({ "type": "string" })),
        ("state", json!({ "type": "string", "enum": ["running", "finished", "waiting", "failed", "stopped"] })),
        ("reason", text()),
        ("source", json!({ "type": "string" })),
        ("read", counter()),
        ("processed", counter()),
        ("dead", counter()),
        ("expired", counter()),
        ("watermark", moment()),
        ("newest", moment()),
        ("backlog", json!({ "type": ["integer", "null"] })),
        ("dead_letters", counter()),
        ("feed", json!({ "anyOf": [{ "$ref": "#/components/schemas/feed" }, { "type": "null" }] })),
        ("results", json!({ "type": "array", "items": { "$ref": "#/components/schemas/result" } })),
    ]);
    let letter = object(&[
        ("id", counter()),
        ("stage", stage()),
        ("result", text()),
        ("reason", json!({ "type": "string" })),
        ("position", json!({ "type": "string" })),
        ("time", json!({ "type": "string", "format": "date-time" })),
        ("length", counter()),
        ("preview", json!({ "type": "string" })),
    ]);
    Map::from_iter([
        ("problem".to_owned(), problem()),
        ("result".to_owned(), result),
        ("sink".to_owned(), sink),
        ("feed".to_owned(), feed),
        ("pipeline".to_owned(), pipeline),
        ("dead_letter".to_owned(), letter),
        ("dead_letter_filter".to_owned(), letter_filter()),
        ("collection".to_owned(), collection()),
    ])
}

fn letter_filter() -> Value {
    json!({
        "type": "object",
        "description": "Which dead letters; all members must match, `{}` means all.",
        "additionalProperties": false,
        "properties": {
            "ids": {
                "type": ["array", "null"],
                "items": { "type": "integer", "minimum": 0, "maximum": LARGEST_ID },
                "description": "One of these; an empty list means none.",
            },
            "stage": { "type": ["string", "null"], "enum": ["decode", "time", "sql", "late", "sink", null] },
            "reason": { "type": ["string", "null"], "description": "Reasons that contain this text." },
            "result": { "type": ["string", "null"] },
        },
    })
}

/// `/ingest/{pipeline}`: path, item, event schema.
pub fn ingest(info: &IngestInfo) -> (String, Value, Value) {
    let name = &info.pipeline;
    let event = json!({ "$ref": format!("#/components/schemas/event.{name}") });
    let cloud_event = json!({
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "type": "string", "minLength": 1 },
            "source": { "type": "string", "minLength": 1 },
            "type": { "type": "string", "minLength": 1 },
            "data": event,
        },
    });
    let answer = json!({
        "description": "The events are durable.",
        "headers": {
            "x-request-id": request_id()["x-request-id"],
            "idempotency-replayed": {
                "description": "`true` where the same request had been accepted before and nothing was added.",
                "schema": { "type": "string" },
            },
        },
        "content": { "application/json": { "schema": object(&[("accepted", json!({ "type": "integer", "minimum": 0 }))]) } },
    });
    let operation = json!({
        "tags": ["ingest"],
        "operationId": format!("ingest.{name}"),
        "summary": format!("Send events to {name}"),
        "description": "All events of a request are accepted, or none. What is an event but does not fit the schema is \
                        accepted and becomes a dead letter. gzip and zstd bodies are unpacked.",
        "parameters": [{
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Makes a retry harmless: the same key with the same body is accepted once.",
            "schema": { "type": "string", "pattern": r#"^(?!""$)[!-~]([ -~]{0,253}[!-~])?$"# },
        }],
        "requestBody": {
            "required": true,
            "content": {
                "application/json": { "schema": { "oneOf": [event.clone(), { "type": "array", "items": event.clone() }] } },
                "application/x-ndjson": { "schema": { "type": "string", "description": "One event a line." } },
                "text/csv": { "schema": { "type": "string", "description": "A header line, then one event a record." } },
                "application/cloudevents+json": { "schema": cloud_event.clone() },
                "application/cloudevents-batch+json": { "schema": { "type": "array", "items": cloud_event } },
            },
        },
        "responses": responses(202, answer, &[400, 404, 408, 409, 413, 415, 422, 503]),
    });
    let properties: Map<String, Value> =
        info.schema.fields.iter().map(|field| (field.name.clone(), event_schema_of(&field.data_type))).collect();
    let schema = json!({ "type": "object", "properties": properties });
    (format!("/ingest/{name}"), json!({ "post": operation }), schema)
}

pub fn paths() -> Map<String, Value> {
    let pipeline = json!({ "$ref": "#/components/schemas/pipeline" });
    let name = path_parameter("pipeline", json!({ "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,62}$" }));
    let filter = json!({
        "required": true,
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/dead_letter_filter" } } },
    });
    let counts = |names: &[&'static str]| {
        let counts: Vec<_> = names.iter().map(|name| (*name, json!({ "type": "integer", "minimum": 0 }))).collect();
        object(&counts)
    };
    let letters = "/api/v1/pipelines/{pipeline}/dead-letters";
    let problems = [400, 404, 408, 409, 413, 415, 503];
    let mut drop = operation("control", "drop", "Drop dead letters", counts(&["dropped"]), &problems);
    drop["parameters"] = json!([name]);
    drop["requestBody"] = filter.clone();
    let mut replay = operation(
        "control",
        "replay",
        "Put dead letters back into the pipeline",
        counts(&["replayed", "failed"]),
        &problems,
    );
    replay["parameters"] = json!([name]);
    replay["requestBody"] = filter.clone();
    let mut one_pipeline = operation("control", "pipeline", "One pipeline", pipeline.clone(), &[404]);
    one_pipeline["parameters"] = json!([name]);
    let mut one_letter =
        operation("control", "dead_letter", "One dead letter with its event", letter_with_event(), &[404, 409, 503]);
    one_letter["parameters"] =
        json!([name, path_parameter("id", json!({ "type": "integer", "minimum": 0, "maximum": LARGEST_ID }))]);
    let mut drop_collection = operation(
        "control",
        "drop_collection",
        "Drop the rows of a collection whose result is no longer in the platform",
        object(&[("dropped", json!({ "type": "string" }))]),
        &problems,
    );
    drop_collection["parameters"] = json!([path_parameter("collection", json!({ "type": "string", "minLength": 1 }))]);
    drop_collection["requestBody"] = json!({
        "required": true,
        "content": { "application/json": { "schema": {
            "type": "object",
            "properties": { "pipeline": { "type": "string", "description": "Whose, where several have one of its name." } },
            "additionalProperties": false,
        } } },
    });
    let all = json!({ "type": "array", "items": pipeline });
    Map::from_iter([
        (
            "/api/v1/pipelines".to_owned(),
            json!({ "get": operation("control", "pipelines", "All pipelines", all, &[]) }),
        ),
        ("/api/v1/pipelines/{pipeline}".to_owned(), json!({ "get": one_pipeline })),
        (letters.to_owned(), json!({ "get": list_letters(&name) })),
        (format!("{letters}/{{id}}"), json!({ "get": one_letter })),
        (format!("{letters}/replay"), json!({ "post": replay })),
        (format!("{letters}/drop"), json!({ "post": drop })),
        ("/api/v1/collections/{collection}/drop".to_owned(), json!({ "post": drop_collection })),
        ("/health".to_owned(), json!({ "get": health("health", "healthy", &[]) })),
        ("/health/live".to_owned(), json!({ "get": health("live", "live", &[]) })),
        ("/health/ready".to_owned(), json!({ "get": health("ready", "ready", &[503]) })),
        ("/metrics".to_owned(), json!({ "get": metrics() })),
    ])
}

fn list_letters(name: &Value) -> Value {
    let list = json!({
        "type": "object",
        "required": ["dead_letters", "next_after"],
        "properties": {
            "dead_letters": { "type": "array", "items": { "$ref": "#/components/schemas/dead_letter" } },
            "next_after": { "type": ["integer", "null"], "description": "`after` of the next page." },
        },
    });
    let mut operation =
        operation("control", "dead_letters", "Dead letters in the order of their ids", list, &[400, 404, 409, 503]);
    let parameter = |name: &str, description: &str, schema: Value| json!({ "name": name, "in": "query", "description": description, "schema": schema });
    operation["parameters"] = json!([
        name,
        parameter("stage", "Only this stage.", stage()),
        parameter("reason", "Only reasons that contain this text.", json!({ "type": "string" })),
        parameter("result", "Only this result's.", json!({ "type": "string" })),
        parameter(
            "after",
            "Only ids after this one.",
            json!({ "type": "integer", "minimum": 0, "maximum": LARGEST_ID })
        ),
        parameter(
            "limit",
            "How many.",
            json!({ "type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": 100 })
        ),
    ]);
    operation
}

fn letter_with_event() -> Value {
    json!({
        "allOf": [
            { "$ref": "#/components/schemas/dead_letter" },
            {
                "type": "object",
                "properties": {
                    "raw": { "type": ["string", "null"], "description": "The event's bytes where they are UTF-8." },
                    "raw_base64": { "type": "string", "contentEncoding": "base64" },
                },
            },
        ],
    })
}

fn health(id: &str, status: &str, problems: &[u16]) -> Value {
    let body = object(&[("status", json!({ "const": status }))]);
    operation("server", id, &format!("Whether the server is {status}"), body, problems)
}

fn metrics() -> Value {
    let text = json!({ "schema": { "type": "string" } });
    let answer = json!({
        "description": "OpenMetrics where the client accepts it, else Prometheus' text.",
        "headers": request_id(),
        "content": { "application/openmetrics-text": text, "text/plain": text },
    });
    json!({
        "tags": ["server"],
        "operationId": "metrics",
        "summary": "Counters and gauges",
        "responses": responses(200, answer, &[]),
    })
}

fn operation(tag: &str, id: &str, summary: &str, schema: Value, problems: &[u16]) -> Value {
    let answer = json!({
        "description": "Success",
        "headers": request_id(),
        "content": { "application/json": { "schema": schema } },
    });
    json!({ "tags": [tag], "operationId": id, "summary": summary, "responses": responses(200, answer, problems) })
}

fn problem() -> Value {
    let text = || json!({ "type": ["string", "null"] });
    json!({
        "type": "object",
        "description": "RFC 9457 problem details with PostgREST's code, message, details and hint.",
        "required": ["type", "title", "status", "detail", "code", "message", "details", "hint"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "code": { "type": "string" },
            "message": { "type": "string" },
            "details": text(),
            "hint": text(),
            "errors": {
                "type": "array",
                "description": "What of a refused ingest request is no event: lines, or elements of a JSON document.",
                "items": {
                    "type": "object",
                    "properties": {
                        "line": { "type": "integer" },
                        "element": { "type": "integer" },
                        "reason": { "type": "string" },
                    },
                },
            },
        },
    })
}

fn collection() -> Value {
    let moment = || json!({ "type": ["string", "null"], "format": "date-time" });
    let names = || json!({ "type": "array", "items": { "type": "string" } });
    let column = object(&[("name", json!({ "type": "string" })), ("type", json!({ "type": "string" }))]);
    object(&[
        ("name", json!({ "type": "string" })),
        ("pipeline", json!({ "type": "string" })),
        ("description", json!({ "type": ["string", "null"] })),
        ("kind", json!({ "type": "string", "enum": ["keyed", "append", "top"] })),
        ("key", names()),
        ("index", names()),
        ("columns", json!({ "type": "array", "items": column })),
        ("rows", json!({ "type": "integer" })),
        ("commit", json!({ "type": "integer" })),
        ("watermark", moment()),
        ("newest", moment()),
        ("age", json!({ "type": ["number", "null"], "description": "Seconds since the newest event's time." })),
        (
            "path",
            json!({
                "type": ["string", "null"],
                "description": "Null: left over, the collection of another pipeline is served under its name.",
            }),
        ),
    ])
}

/// An object with these members, all of them there.
fn object(members: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        members.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

fn path_parameter(name: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

fn stage() -> Value {
    json!({ "type": "string", "enum": ["decode", "time", "sql", "late", "sink"] })
}
