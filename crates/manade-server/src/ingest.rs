//! `POST /ingest/{pipeline}`: events in, durable before the answer.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use manade_events::ingest::{Accepted, BodyKind, LineError, Packing, split};
use manade_model::CsvOptions;
use serde_json::{Value, json};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::app::App;
use crate::backend::{IdempotencyKey, IngestError, IngestKeys, IngestRequest, IngestTicket};
use crate::body;
use crate::problem::Problem;
use crate::respond::json as json_response;

#[cfg(test)]
mod tests;

pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says that a request was accepted before and nothing was added.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Bytes of a body that is split without a thread of its own: less work than starting one.
const SMALL: usize = 16 << 10;

/// Lines that an answer names; `count` says how many there are.
const NAMED_LINES: usize = 100;

const LONGEST_KEY: usize = 255;

/// Any of these says that a request is a CloudEvent in binary mode.
const CE_HEADERS: [&str; 4] = ["ce-specversion", "ce-id", "ce-source", "ce-type"];

pub async fn ingest(
    State(app): State<Arc<App>>,
    Path(pipeline): Path<String>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    check_pipeline(&app, &pipeline)?;
    let (parts, body) = request.into_parts();
    let kind = body_kind(&parts.headers)?;
    let packing = body::packing(&parts.headers)?;
    let key = idempotency_key(&parts.headers)?;
    let bytes = body::read(body, &parts.headers, &app.options).await?;
    let limit = app.options.max_unpacked;
    let is_small = bytes.len() <= SMALL && packing.is_none();
    let (backend, name) = (Arc::clone(&app.backend), pipeline.clone());
    let queue = move || -> Result<IngestTicket, Problem> {
        let mut request = prepare(bytes, packing, limit, &kind, key)?;
        let identities = std::mem::take(&mut request.accepted.identities);
        let per_event = matches!(request.keys, IngestKeys::Events(_));
        backend.ingest(&name, request).map_err(|error| match error {
            IngestError::KeyReused { event } if per_event => reused(&identities, event),
            IngestError::InFlight { event } if per_event => in_flight(&identities, event),
            error => ingest_problem(&error, &name),
        })
    };
    let ticket = if is_small {
        queue()?
    } else {
        let permit = app.unpack_permit().await?;
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            queue()
        });
        work.await.map_err(|_| Problem::internal())??
    };
    let answer = ticket.await.map_err(|error| ingest_problem(&error, &pipeline))?;
    let mut response = json_response(StatusCode::ACCEPTED, &json!({ "accepted": answer.accepted }));
    if answer.replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Refuses before the body is read.
fn check_pipeline(app: &App, pipeline: &str) -> Result<(), Problem> {
    let Err(error) = app.backend.takes_events(pipeline) else { return Ok(()) };
    let problem = ingest_problem(&error, pipeline);
    if !matches!(error, IngestError::NoSuchPipeline) {
        return Err(problem);
    }
    let ingests = app.backend.ingests();
    let nearest = manade_model::closest(pipeline, ingests.iter().map(|info| info.pipeline.as_str()));
    Err(problem.with_nearest(nearest))
}

fn prepare(
    bytes: Vec<u8>,
    packing: Option<Packing>,
    limit: u64,
    kind: &BodyKind,
    key: Option<String>,
) -> Result<IngestRequest, Problem> {
    let bytes = body::unpack(bytes, packing, limit)?;
    let is_lines = matches!(kind, BodyKind::Ndjson | BodyKind::Csv(_));
    if !is_lines && bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::plain(StatusCode::BAD_REQUEST, "the body is empty, which is not JSON")
            .with_hint("send an event, or [] for none"));
    }
    let accepted =
        split(&bytes, kind).map_err(|errors| not_events(&errors, if is_lines { "line" } else { "element" }))?;
    let keys = match key {
        Some(key) => IngestKeys::Request(IdempotencyKey { key, body_hash: body_hash(&bytes, kind) }),
        None if accepted.identities.is_empty() => IngestKeys::None,
        None => IngestKeys::Events(event_keys(&accepted)),
    };
    Ok(IngestRequest { accepted, keys })
}

/// Tells one request from another under the same key.
fn body_hash(bytes: &[u8], kind: &BodyKind) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(format!("{kind:?}\0").as_bytes());
    hash.update(bytes);
    hash.digest128()
}

/// What `source` and `id` make of each CloudEvent, however it was sent.
fn event_keys(accepted: &Accepted) -> Vec<IdempotencyKey> {
    let lines = accepted.data.split(|byte| *byte == b'\n');
    let key = |((source, id), data): (&(String, String), &[u8])| IdempotencyKey {
        key: format!("cloudevent:{}:{source}:{id}", source.len()),
        body_hash: xxh3_128(data),
    };
    accepted.identities.iter().zip(lines).map(key).collect()
}

/// By `Content-Type`, and `ce-` headers for a CloudEvent in binary mode
/// (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>).
fn body_kind(headers: &HeaderMap) -> Result<BodyKind, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let parameter = |name: &str| {
        let value = parts.clone().find_map(|parameter| parameter.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| value.trim_matches('"'))
    };
    if media_type == "text/csv" && parameter("header").is_some_and(|header| header.eq_ignore_ascii_case("absent")) {
        return Err(unsupported(content_type).with_details("CSV needs a header line that names the columns"));
    }
    let charset = parameter("charset");
    if charset.is_some_and(|name| !name.eq_ignore_ascii_case("utf-8") && !name.eq_ignore_ascii_case("us-ascii")) {
        return Err(unsupported(content_type).with_details("text is read as UTF-8 only"));
    }
    if CE_HEADERS.iter().any(|name| headers.contains_key(*name)) && !media_type.starts_with("application/cloudevents") {
        if media_type != "application/json" && !media_type.ends_with("+json") {
            return Err(unsupported(content_type).with_details("the data of a CloudEvent must be JSON"));
        }
        return Ok(BodyKind::CloudEventBinary { attributes: attributes(headers)? });
    }
    match media_type.as_str() {
        "application/json" => Ok(BodyKind::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(BodyKind::Ndjson),
        "text/csv" => Ok(BodyKind::Csv(CsvOptions { delimiter: b',', quote: b'"', header: true })),
        "application/cloudevents+json" => Ok(BodyKind::CloudEvent),
        "application/cloudevents-batch+json" => Ok(BodyKind::CloudEvents),
        _ => Err(unsupported(content_type)),
    }
}

/// `ce-` headers, percent-decoded as the protocol binding asks.
fn attributes(headers: &HeaderMap) -> Result<Vec<(String, String)>, Problem> {
    let mut attributes = Vec::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("ce-") else { continue };
        let decoded = value.to_str().ok().and_then(percent_decoded);
        let Some(value) = decoded else {
            let message = format!("the header ce-{name} is not text");
            return Err(Problem::plain(StatusCode::BAD_REQUEST, message));
        };
        attributes.push((name.to_owned(), value));
    }
    if let Some(content_type) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
        attributes.push(("datacontenttype".to_owned(), content_type.to_owned()));
    }
    Ok(attributes)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        match (*first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                bytes.push((digit(*high)? * 16 + digit(*low)?) as u8);
                rest = tail;
            }
            (b'%', _) => return None,
            (byte, tail) => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn unsupported(content_type: &str) -> Problem {
    let message = match content_type {
        "" => "the request has no content type".to_owned(),
        other => format!("the content type \"{other}\" is not supported"),
    };
    Problem::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).with_hint(
        "send application/json, application/x-ndjson, text/csv, application/cloudevents+json or \
         application/cloudevents-batch+json",
    )
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::plain(StatusCode::BAD_REQUEST, "the request has several Idempotency-Key headers"));
    }
    // The draft's header is a quoted string; most clients send it bare.
    let key = value.to_str().unwrap_or_default();
    let bare = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    if !bare.is_empty() && key.len() <= LONGEST_KEY && key.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Ok(Some(format!("key:{bare}")));
    }
    Err(Problem::plain(
        StatusCode::BAD_REQUEST,
        format!("an Idempotency-Key has 1 to {LONGEST_KEY} visible ASCII characters"),
    ))
}

/// `what` is counted.
fn not_events(errors: &[LineError], what: &str) -> Problem {
    let named: Vec<Value> =
        errors.iter().take(NAMED_LINES).map(|error| json!({ what: error.line, "reason": error.reason })).collect();
    let first = errors.first().map_or_else(String::new, |error| format!("{what} {}: {}", error.line, error.reason));
    let (count, are) = (errors.len(), if errors.len() == 1 { " is" } else { "s are" });
    Problem::plain(StatusCode::BAD_REQUEST, format!("{count} {what}{are} not an event; nothing was accepted"))
        .with_details(first)
        .with_hint("mend or leave out what \"errors\" names and send all again")
        .with_member("errors", Value::Array(named))
        .with_member("count", json!(count))
}

/// A CloudEvent whose `source` and `id` mean another one.
fn reused(identities: &[(String, String)], event: usize) -> Problem {
    Problem::plain(
        StatusCode::UNPROCESSABLE_ENTITY,
        format!("{} was sent before with other data", named(identities, event)),
    )
    .with_details(format!("element {}", event + 1))
    .with_hint("nothing was accepted; give each event of a source an id of its own")
}

fn in_flight(identities: &[(String, String)], event: usize) -> Problem {
    let message = format!("{} is part of a request that is still in flight", named(identities, event));
    Problem::plain(StatusCode::CONFLICT, message)
        .with_details(format!("element {}", event + 1))
        .with_hint("wait for its answer, or retry later")
}

fn named(identities: &[(String, String)], event: usize) -> String {
    let (source, id) = identities.get(event).cloned().unwrap_or_default();
    format!("the CloudEvent with source \"{source}\" and id \"{id}\"")
}

fn ingest_problem(error: &IngestError, pipeline: &str) -> Problem {
    match error {
        IngestError::NoSuchPipeline => {
            Problem::plain(StatusCode::NOT_FOUND, format!("no pipeline is called \"{pipeline}\""))
                .with_hint("GET /api/v1/pipelines lists the pipelines")
        }
        IngestError::NotHttp => {
            Problem::plain(StatusCode::NOT_FOUND, format!("the pipeline \"{pipeline}\" takes no events over HTTP"))
                .with_hint("its source would have to be `http: {}`")
        }
        IngestError::NotCsv { column } => {
            let message = format!("the pipeline \"{pipeline}\" takes no CSV: its column \"{column}\" is nested");
            Problem::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
                .with_hint("send application/json or application/x-ndjson")
        }
        IngestError::KeyReused { .. } => {
            Problem::plain(StatusCode::UNPROCESSABLE_ENTITY, "the idempotency key was used for another body")
                .with_hint("use a new key for each request that is not a retry")
        }
        IngestError::InFlight { .. } => {
            Problem::plain(StatusCode::CONFLICT, "a request with this idempotency key is still in flight")
                .with_hint("wait for its answer, or retry later")
        }
        IngestError::DiskFull { retry_after } => {
            Problem::busy("the server's disk is full", *retry_after).with_hint("nothing was accepted; try again later")
        }
        IngestError::Full { retry_after } => Problem::busy("the pipeline's backlog is full", *retry_after),
        IngestError::Stopped => Problem::busy("the pipeline is stopped", std::time::Duration::from_secs(5)),
        IngestError::Failed(reason) => {
            tracing::error!(%pipeline, %reason, "events could not be made durable");
            Problem::busy("the events could not be made durable", std::time::Duration::from_secs(5))
                .with_hint("nothing was accepted; GET /health/ready may say why")
        }
    }
}
