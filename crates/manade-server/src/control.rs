//! The control API (`/api/v1`) and health.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use manade_pipeline::dead_letter::{DeadLetter, DeadLetterFilter, Stage};
use manade_pipeline::status::{PipelineState, PipelineStatus, ResultStatus};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::backend::{Backend, ControlError};
use crate::body;
use crate::problem::Problem;
use crate::respond;
use crate::values::timestamp;

/// Dead letters of a page, by default and at most.
const PAGE: usize = 100;
pub const LARGEST_PAGE: usize = 1_000;

/// When to ask again a pipeline that does not run at the moment.
const RETRY: Duration = Duration::from_secs(1);

/// Of a dead letter, for clients: what every reader of JSON has exactly (2^53 - 1).
pub const LARGEST_ID: u64 = 9_007_199_254_740_991;

pub async fn pipelines(State(app): State<Arc<App>>) -> Response<Body> {
    let pipelines = app.backend.pipelines();
    respond::json(StatusCode::OK, &Value::Array(pipelines.iter().map(pipeline_body).collect()))
}

pub async fn pipeline(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response<Body>, Problem> {
    let status = app.backend.pipeline(&name).ok_or_else(|| no_such_pipeline(app.backend.as_ref(), &name))?;
    Ok(respond::json(StatusCode::OK, &pipeline_body(&status)))
}

/// `GET .../dead-letters`: newest ids last, `after` for the next page.
pub async fn dead_letters(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(raw): RawQuery,
) -> Result<Response<Body>, Problem> {
    let query = ListQuery::parse(raw.as_deref().unwrap_or_default())?;
    let limit = query.limit;
    let letters = blocking(&app, &name, move |backend, name| {
        backend.dead_letters(name, &query.filter, query.after, query.limit.saturating_add(1))
    })
    .await?;
    let more = letters.len() > limit;
    let shown: Vec<Value> = letters.iter().take(limit).map(letter_body).collect();
    let next = letters.iter().take(limit).next_back().filter(|_| more).map(|letter| letter.id);
    Ok(respond::json(StatusCode::OK, &json!({ "dead_letters": shown, "next_after": next })))
}

/// `GET .../dead-letters/{id}`: one with its event.
pub async fn dead_letter(
    State(app): State<Arc<App>>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response<Body>, Problem> {
    let number: u64 = id.parse().map_err(|_| no_such_letter(&name, &id))?;
    let filter = DeadLetterFilter { ids: Some(vec![number]), ..DeadLetterFilter::default() };
    let letters = blocking(&app, &name, move |backend, name| backend.dead_letters(name, &filter, None, 1)).await?;
    let letter = letters.first().ok_or_else(|| no_such_letter(&name, &id))?;
    let mut body = letter_body(letter);
    if let Value::Object(members) = &mut body {
        members.insert("raw".to_owned(), std::str::from_utf8(&letter.raw).map_or(Value::Null, Value::from));
        members.insert("raw_base64".to_owned(), Value::from(STANDARD.encode(&letter.raw)));
    }
    Ok(respond::json(StatusCode::OK, &body))
}

/// `POST .../dead-letters/replay` with a filter.
pub async fn replay(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let filter = filter_body(&app, request).await?;
    let answer = blocking(&app, &name, move |backend, name| backend.replay(name, &filter)).await?;
    Ok(respond::json(StatusCode::OK, &json!({ "replayed": answer.replayed, "failed": answer.failed })))
}

/// `POST .../dead-letters/drop` with a filter.
pub async fn drop_letters(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let filter = filter_body(&app, request).await?;
    let dropped = blocking(&app, &name, move |backend, name| backend.drop_dead_letters(name, &filter)).await?;
    Ok(respond::json(StatusCode::OK, &json!({ "dropped": dropped })))
}

/// `POST /api/v1/collections/{collection}/drop`: of a result that is no longer in the platform.
pub async fn drop_collection(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let bytes = json_bytes(&app, request).await?;
    let pipeline = pipeline_member(&bytes)?;
    app.collection(&name)?;
    blocking(&app, &name, move |backend, name| backend.drop_collection(pipeline.as_deref(), name)).await?;
    Ok(respond::json(StatusCode::OK, &json!({ "dropped": name })))
}

/// Of an object with at most this one member.
fn pipeline_member(bytes: &[u8]) -> Result<Option<String>, Problem> {
    let members = serde_json::from_slice::<serde_json::Map<String, Value>>(bytes).ok();
    let named = members.map(|mut members| (members.remove("pipeline"), members.is_empty()));
    match named {
        Some((Some(Value::String(name)), true)) => Ok(Some(name)),
        Some((None, true)) => Ok(None),
        _ => Err(Problem::plain(StatusCode::BAD_REQUEST, "the body is an object that names a pipeline or nothing")
            .with_hint("send {}, or {\"pipeline\": \"NAME\"} where several pipelines have a collection of this name")),
    }
}

/// Where a backup goes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BackupBody {
    /// Of the server's machine, absolute.
    to: PathBuf,
}

/// `POST /api/v1/backup`: what `manade data backup` calls. It writes where it is told, so that it is left out of the
/// OpenAPI document, whose readers try what they find there.
pub async fn backup(State(app): State<Arc<App>>, request: Request) -> Result<Response<Body>, Problem> {
    let hint = "send {\"to\": \"/an/absolute/path\"}";
    let bytes = json_bytes(&app, request).await?;
    let body: BackupBody = serde_json::from_slice(&bytes).map_err(|error| {
        Problem::plain(StatusCode::BAD_REQUEST, "the backup's place cannot be read")
            .with_details(error.to_string())
            .with_hint(hint)
    })?;
    if !body.to.is_absolute() {
        return Err(
            Problem::plain(StatusCode::BAD_REQUEST, "the backup's place is not an absolute path").with_hint(hint)
        );
    }
    let to = body.to.clone();
    blocking(&app, "", move |backend, _| backend.backup(&to)).await?;
    Ok(respond::json(StatusCode::OK, &json!({ "to": body.to })))
}

pub async fn health() -> Response<Body> {
    respond::json(StatusCode::OK, &json!({ "status": "healthy" }))
}

pub async fn live() -> Response<Body> {
    respond::json(StatusCode::OK, &json!({ "status": "live" }))
}

pub async fn ready(State(app): State<Arc<App>>) -> Result<Response<Body>, Problem> {
    let mut health = app.backend.health();
    if *app.stop.borrow() {
        health.ready = false;
        health.reasons.push("the server is stopping".to_owned());
    }
    if health.ready {
        return Ok(respond::json(StatusCode::OK, &json!({ "status": "ready" })));
    }
    Err(Problem::plain(StatusCode::SERVICE_UNAVAILABLE, "not ready")
        .with_details(health.reasons.join("; "))
        .with_member("reasons", json!(health.reasons)))
}

/// Runs a backend call that may wait for a disk.
async fn blocking<T: Send + 'static>(
    app: &App,
    name: &str,
    call: impl FnOnce(&dyn Backend, &str) -> Result<T, ControlError> + Send + 'static,
) -> Result<T, Problem> {
    let permit = app.query_permit().await?;
    let (backend, owned) = (Arc::clone(&app.backend), name.to_owned());
    let work = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        call(backend.as_ref(), &owned)
    });
    work.await.map_err(|_| Problem::internal())?.map_err(|error| match error {
        ControlError::NoSuchPipeline => no_such_pipeline(app.backend.as_ref(), name),
        ControlError::NoSuchCollection => Problem::plain(StatusCode::NOT_FOUND, error.to_string()),
        ControlError::Ambiguous { ref pipelines } => {
            let first = pipelines.first().map(String::as_str).unwrap_or_default();
            Problem::plain(StatusCode::CONFLICT, error.to_string())
                .with_hint(format!("say whose: {{\"pipeline\": \"{first}\"}}"))
        }
        ControlError::Refused(reason) => Problem::plain(StatusCode::CONFLICT, reason),
        ControlError::Unavailable(reason) => {
            let what = if name.is_empty() { "a pipeline".to_owned() } else { format!("the pipeline \"{name}\"") };
            Problem::busy(format!("{what} cannot be asked now"), RETRY).with_details(reason)
        }
        ControlError::Failed(reason) => {
            tracing::error!(pipeline = %name, %reason, "a control call failed");
            Problem::internal()
        }
    })
}

fn no_such_pipeline(backend: &dyn Backend, name: &str) -> Problem {
    let names: Vec<String> = backend.pipelines().into_iter().map(|status| status.name).collect();
    let nearest = manade_model::closest(name, names.iter().map(String::as_str));
    let problem = Problem::plain(StatusCode::NOT_FOUND, format!("no pipeline is called \"{name}\""));
    match nearest {
        Some(_) => problem.with_nearest(nearest),
        None => problem.with_hint("GET /api/v1/pipelines lists the pipelines"),
    }
}

fn no_such_letter(pipeline: &str, id: &str) -> Problem {
    Problem::plain(StatusCode::NOT_FOUND, format!("the pipeline \"{pipeline}\" has no dead letter {id}"))
        .with_hint("`manade dead-letters list` lists them")
}

/// The bytes of an `application/json` body. Pages of another origin can send other content types, or none, without
/// asking the server first; this one they cannot. So even a request that needs to say nothing has it.
async fn json_bytes(app: &App, request: Request) -> Result<Vec<u8>, Problem> {
    let (parts, body) = request.into_parts();
    let content_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Problem::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content type must be application/json")
            .with_hint("send Content-Type: application/json, and {} where there is nothing to say"));
    }
    body::read(body, &parts.headers, &app.options).await
}

/// `{}` means all.
async fn filter_body(app: &App, request: Request) -> Result<DeadLetterFilter, Problem> {
    let bytes = json_bytes(app, request).await?;
    filter_of(&bytes).map_err(|error| {
        Problem::plain(StatusCode::BAD_REQUEST, "the filter cannot be read")
            .with_details(error.to_string())
            .with_hint("an object with ids, stage (decode, time, sql, late, sink), reason, result; {} means all")
    })
}

fn filter_of(bytes: &[u8]) -> Result<DeadLetterFilter, serde_json::Error> {
    let mut filter: Value = serde_json::from_slice(bytes)?;
    if !filter.is_object() {
        // An array would be read as the filter's members in their order.
        return Err(serde::de::Error::custom("the filter is not an object"));
    }
    for id in filter.get_mut("ids").and_then(Value::as_array_mut).into_iter().flatten() {
        // In JSON `7.0` is the same number as `7`.
        if let Some(whole) = id.as_f64().filter(|id| id.fract() == 0.0 && (0.0..=LARGEST_ID as f64).contains(id)) {
            *id = Value::from(whole as u64);
        } else if id.is_number() {
            return Err(serde::de::Error::custom(format!("{id} is not the id of a dead letter")));
        }
    }
    serde_json::from_value(filter)
}

struct ListQuery {
    filter: DeadLetterFilter,
    after: Option<u64>,
    limit: usize,
}

impl ListQuery {
    fn parse(raw: &str) -> Result<Self, Problem> {
        let mut query = Self { filter: DeadLetterFilter::default(), after: None, limit: PAGE };
        for (key, value) in form_urlencoded::parse(raw.as_bytes()) {
            let wrong = |what: &str| Problem::plain(StatusCode::BAD_REQUEST, format!("\"{key}\" must be {what}"));
            match key.as_ref() {
                "stage" => {
                    query.filter.stage = Some(stage(&value).ok_or_else(|| wrong("decode, time, sql, late or sink"))?);
                }
                "reason" => query.filter.reason = Some(value.into_owned()),
                "result" => query.filter.result = Some(value.into_owned()),
                "after" => {
                    let after = value.parse().ok().filter(|after| *after <= LARGEST_ID);
                    query.after = Some(after.ok_or_else(|| wrong("the id of a dead letter"))?);
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit));
                    query.limit = limit.ok_or_else(|| wrong(&format!("from 1 to {LARGEST_PAGE}")))?;
                }
                _ => {
                    let known = ["stage", "reason", "result", "after", "limit"];
                    let message = format!("unknown parameter \"{key}\"");
                    let problem = Problem::plain(StatusCode::BAD_REQUEST, message);
                    return Err(match manade_model::closest(&key, known.into_iter()) {
                        Some(near) => problem.with_nearest(Some(near)),
                        None => problem.with_hint(format!("one of: {}", known.join(", "))),
                    });
                }
            }
        }
        Ok(query)
    }
}

fn stage(name: &str) -> Option<Stage> {
    match name {
        "decode" => Some(Stage::Decode),
        "time" => Some(Stage::Time),
        "sql" => Some(Stage::Sql),
        "late" => Some(Stage::Late),
        "sink" => Some(Stage::Sink),
        _ => None,
    }
}

fn pipeline_body(status: &PipelineStatus) -> Value {
    json!({
        "name": status.name,
        "state": status.state,
        "reason": status.reason,
        "source": status.source,
        "read": status.counters.read,
        "processed": status.counters.processed,
        "dead": status.counters.dead,
        "expired": status.counters.expired,
        "watermark": status.watermark.map(timestamp),
        "newest": status.newest.map(timestamp),
        // Nobody looks at the source of one that is stopped.
        "backlog": (status.state != PipelineState::Stopped).then_some(status.backlog),
        "dead_letters": status.dead_letters,
        "feed": status.feed,
        "results": status.results.iter().map(result_body).collect::<Vec<_>>(),
    })
}

fn result_body(result: &ResultStatus) -> Value {
    json!({
        "name": result.name,
        "selected": result.counters.selected,
        "written": result.counters.written,
        "late": result.counters.late,
        "failed": result.counters.failed,
        "expired": result.counters.expired,
        "rows": result.rows,
        "watermark": result.watermark.map(timestamp),
        "sinks": result.sinks,
    })
}

fn letter_body(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "stage": letter.stage,
        "result": letter.result,
        "reason": letter.reason,
        "position": letter.position,
        "time": timestamp(letter.time),
        "length": letter.length,
        "preview": preview(&letter.raw),
    })
}

/// The first characters of an event, on one line.
fn preview(raw: &[u8]) -> String {
    const LENGTH: usize = 120;
    let head = &raw[..raw.len().min(LENGTH * 4)];
    let mut out = String::new();
    for c in String::from_utf8_lossy(head).chars().take(LENGTH) {
        if c.is_control() {
            write!(out, "{}", c.escape_default()).expect("a string takes every character");
        } else {
            out.push(c);
        }
    }
    out
}
