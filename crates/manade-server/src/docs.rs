//! Swagger UI from within the binary, and the index.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};
use serde_json::json;
use utoipa_swagger_ui::Config;

use crate::app::App;
use crate::problem::Problem;
use crate::respond;

/// `GET /`: a browser goes to the documentation, others get the paths.
pub async fn index(State(app): State<Arc<App>>, headers: HeaderMap) -> Response<Body> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        return redirect("/docs/");
    }
    let collections: Vec<String> =
        app.backend.collections().iter().map(|collection| format!("/data/{}", collection.info().name)).collect();
    let ingests: Vec<String> =
        app.backend.ingests().into_iter().map(|info| format!("/ingest/{}", info.pipeline)).collect();
    let body = json!({
        "name": "manade",
        "version": env!("CARGO_PKG_VERSION"),
        "docs": "/docs/",
        "openapi": "/openapi.json",
        "collections": collections,
        "ingest": ingests,
        "pipelines": "/api/v1/pipelines",
        "health": "/health",
        "metrics": "/metrics",
    });
    respond::json(StatusCode::OK, &body)
}

/// `GET /docs` and `/docs/`: the page's files are relative to the latter.
pub async fn ui(request: axum::extract::Request) -> Result<Response<Body>, Problem> {
    if request.uri().path() == "/docs" { Ok(redirect("/docs/")) } else { asset("index.html") }
}

pub async fn file(Path(file): Path<String>) -> Result<Response<Body>, Problem> {
    asset(&file)
}

fn asset(name: &str) -> Result<Response<Body>, Problem> {
    // Nothing to choose another document with, and no badge of a validator elsewhere: the page asks this server only.
    let config = Config::from("/openapi.json").use_base_layout().validator_url("none").default_models_expand_depth(0);
    let config = Arc::new(config.try_it_out_enabled(true));
    let found = utoipa_swagger_ui::serve(name, config).map_err(|_| Problem::internal())?;
    let file = found.ok_or_else(|| Problem::plain(StatusCode::NOT_FOUND, format!("/docs has no \"{name}\"")))?;
    let body = match file.bytes {
        Cow::Borrowed(bytes) => Body::from(bytes.to_vec()),
        Cow::Owned(bytes) => Body::from(bytes),
    };
    let mut response = Response::new(body);
    let content_type = HeaderValue::from_str(&file.content_type).map_err(|_| Problem::internal())?;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    Ok(response)
}

fn redirect(to: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(to));
    response
}
