//! HTTP: ingest, results API, control API, Swagger UI, metrics.
//!
//! [`serve`] runs a listener over a [`Backend`], the running platform. A request goes through `connection` (limits,
//! slow clients), `middleware` (ids, host check, CORS, panics, problem documents) and its handler: `ingest`, `data`
//! (rows), `changes` (server-sent events), `control` (pipelines, dead letters, health), `metrics`, or the documents of
//! `openapi` and `docs`.
//!
//! Rows: `query` parses PostgREST's grammar to plain data and holds it against the columns, `engine` runs the plan over a
//! streamed scan with DataFusion's expressions and sorts, `formats` and `values` write what comes out. A query runs on one blocking thread
//! from scan to bytes, and hands chunks over a bounded channel: a slow reader slows its own query and nothing else.
//! Whatever blocks (scans, waiting for durable events) is kept off the async threads.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get, post};
use tokio::net::TcpListener;

pub use backend::{
    Backend, ControlError, Health, IdempotencyKey, IngestAnswer, IngestError, IngestInfo, IngestKeys, IngestRequest,
    IngestTicket, Kept,
};
pub use engine::EngineError;
pub use openapi::openapi;
pub use options::ServerOptions;

use app::App;
use manade_pipeline::collection::CollectionInfo;
use manade_pipeline::values;

mod app;
mod backend;
mod body;
mod changes;
mod connection;
mod control;
mod data;
mod docs;
mod engine;
mod feeds;
mod formats;
mod ingest;
mod metrics;
mod middleware;
mod openapi;
mod options;
mod problem;
mod query;
mod respond;

/// Whether a query string of `GET /data/{collection}` fits the collection; else, why not.
pub fn check_query(text: &str, info: &CollectionInfo) -> Result<(), String> {
    let columns: Vec<&str> = info.columns.iter().map(|column| column.name.as_str()).collect();
    let planned = query::parse(text, &columns).and_then(|query| query::plan::plan(&query, info, None));
    planned.map(drop).map_err(|problem| problem.message)
}

/// Serves until `shutdown` is done, then lets open requests finish within `options.drain`. The host check holds only
/// where the listener's address is a loopback one.
pub async fn serve(
    listener: TcpListener,
    backend: Arc<dyn Backend>,
    options: ServerOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let check_host = options.check_host && listener.local_addr()?.ip().is_loopback();
    let app = Arc::new(App::new(backend, ServerOptions { check_host, ..options }).map_err(io::Error::other)?);
    let router = routes(Arc::clone(&app));
    connection::serve(listener, router, app, shutdown).await
}

/// The service without a listener, for callers that bring their own connections.
pub fn router(backend: Arc<dyn Backend>, options: ServerOptions) -> Result<Router, EngineError> {
    Ok(routes(Arc::new(App::new(backend, options)?)))
}

fn routes(app: Arc<App>) -> Router {
    let pipelines = "/api/v1/pipelines";
    let letters = format!("{pipelines}/{{pipeline}}/dead-letters");
    Router::new()
        .route("/", get(docs::index))
        .route("/docs", get(docs::ui))
        .route("/docs/", get(docs::ui))
        .route("/docs/{*file}", get(docs::file))
        .route("/openapi.json", get(openapi::document))
        .route("/health", get(control::health))
        .route("/health/live", get(control::live))
        .route("/health/ready", get(control::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/ingest/{pipeline}", post(ingest::ingest))
        .route("/data", get(data::list))
        .route("/data/", get(data::list))
        .route("/data/{collection}", get(data::rows))
        .route("/data/{collection}/changes", get(changes::changes))
        .route("/data/{collection}/{rest}", any(data::below))
        .route(pipelines, get(control::pipelines))
        .route(&format!("{pipelines}/{{pipeline}}"), get(control::pipeline))
        .route(&letters, get(control::dead_letters))
        .route(&format!("{letters}/replay"), post(control::replay))
        .route("/api/v1/backup", post(control::backup))
        .route("/api/v1/collections/{collection}/drop", post(control::drop_collection))
        .route(&format!("{letters}/drop"), post(control::drop_letters))
        .route(&format!("{letters}/{{id}}"), get(control::dead_letter))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), middleware::around))
        .with_state(app)
}
