//! The OpenAPI 3.1 document, from the collections' own column types and descriptions.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use manade_pipeline::collection::CollectionInfo;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::backend::IngestInfo;
use crate::respond;

mod collections;
mod fixed;
pub mod types;

/// `GET /openapi.json`.
pub async fn document(State(app): State<Arc<App>>) -> Response<Body> {
    let collections: Vec<Arc<CollectionInfo>> = app.backend.collections().iter().map(|c| c.info()).collect();
    respond::json(StatusCode::OK, &openapi(&collections, &app.backend.ingests()))
}

/// The document of a platform with these collections and these pipelines that take events. Pure: equal input gives
/// equal text.
pub fn openapi(collections: &[Arc<CollectionInfo>], ingests: &[IngestInfo]) -> Value {
    let mut paths = Map::new();
    let mut schemas = fixed::schemas();
    for info in ingests {
        let (path, item, schema) = fixed::ingest(info);
        schemas.insert(format!("event.{}", info.pipeline), schema);
        paths.insert(path, item);
    }
    paths.insert("/data".to_owned(), collections::list());
    for info in collections {
        schemas.insert(format!("row.{}", info.name), collections::row_schema(info));
        paths.insert(format!("/data/{}", info.name), collections::rows(info));
        paths.insert(format!("/data/{}/changes", info.name), collections::changes(info));
    }
    paths.extend(fixed::paths());
    let mut tags = vec![json!({ "name": "results", "description": "Rows of the collections." })];
    if !ingests.is_empty() {
        tags.push(json!({ "name": "ingest", "description": "Events for pipelines with an http source." }));
    }
    tags.push(json!({ "name": "control", "description": "Pipelines, their progress and their dead letters." }));
    tags.push(json!({ "name": "server", "description": "Health and metrics." }));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Manade",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Events in, results out. Collections speak PostgREST's query grammar.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

/// A problem answer; `statuses` by number.
fn problems(statuses: &[u16]) -> Map<String, Value> {
    let answer = |status: &u16| {
        let reason = StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason());
        let answer = json!({
            "description": reason.unwrap_or("Error"),
            "headers": request_id(),
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/problem" } } },
        });
        (status.to_string(), answer)
    };
    statuses.iter().map(answer).collect()
}

fn request_id() -> Value {
    json!({ "x-request-id": { "description": "The request's id, the client's own where it sent one.", "schema": { "type": "string" } } })
}

/// `responses` of an operation: one success and the problems it may have beside those of every operation.
fn responses(success: u16, answer: Value, statuses: &[u16]) -> Value {
    let mut responses = Map::new();
    responses.insert(success.to_string(), answer);
    responses.extend(problems(statuses));
    responses.extend(problems(&[403, 405, 500]));
    Value::Object(responses)
}
