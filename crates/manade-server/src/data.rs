//! `GET /data` and `GET /data/{collection}`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use manade_functions::spark_name;
use manade_pipeline::collection::{CollectionInfo, CollectionKind, Freshness};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::app::{App, now_micros};
use crate::backend::Kept;
use crate::formats::Format;
use crate::problem::Problem;
use crate::query::plan::{self, DEFAULT_LIMIT, Plan};
use crate::query::{self, Query};
use crate::respond::json;
use crate::values;
use preferences::Preferences;
pub use produce::read_problem;
use produce::{Ended, Head, Job, produce};

mod preferences;
mod produce;

pub const WATERMARK: HeaderName = HeaderName::from_static("x-manade-watermark");
pub const NEWEST: HeaderName = HeaderName::from_static("x-manade-newest");
pub const AGE: HeaderName = HeaderName::from_static("x-manade-age");
pub const COMMIT: HeaderName = HeaderName::from_static("x-manade-commit");

/// Chunks of an answer that wait for a slow reader.
const CHUNKS: usize = 4;

/// `GET /data`.
pub async fn list(State(app): State<Arc<App>>) -> Response<Body> {
    let kept = app.backend.kept();
    let list = kept.iter().map(describe);
    json(StatusCode::OK, &Value::Array(list.collect()))
}

fn describe(kept: &Kept) -> Value {
    let (info, freshness) = (kept.collection.info(), kept.collection.freshness());
    let kind = match info.kind {
        CollectionKind::Keyed => "keyed",
        CollectionKind::Append => "append",
        CollectionKind::Top => "top",
    };
    let columns: Vec<Value> =
        info.columns.iter().map(|c| json!({ "name": c.name, "type": spark_name(&c.data_type) })).collect();
    json!({
        "name": info.name,
        "pipeline": info.pipeline,
        "description": info.description,
        "kind": kind,
        "key": info.key,
        "index": info.index,
        "columns": columns,
        "rows": kept.collection.count(),
        "commit": freshness.commit,
        "watermark": freshness.watermark.map(values::timestamp),
        "newest": freshness.newest.map(values::timestamp),
        "age": age(freshness),
        "path": (!kept.left_over).then(|| format!("/data/{}", info.name)),
    })
}

/// `GET` and `HEAD /data/{collection}`.
pub async fn rows(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    check_profile(&headers)?;
    let collection = app.collection(&name)?;
    let info = collection.info();
    let raw = raw.unwrap_or_default();
    let names: Vec<&str> = info.columns.iter().map(|column| column.name.as_str()).collect();
    let mut query = query::parse(&raw, &names)?;
    let format = query.format.map_or_else(|| Format::accepted(&headers), Ok)?;
    let preferences = Preferences::of(&headers)?;
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    narrow(&mut query, range)?;
    let plan = plan::plan(&query, &info, format.is_paged().then_some(DEFAULT_LIMIT))?;

    let (run, generation) = (app.started, app.backend.generation());
    let seed =
        format!("{run}\0{generation}\0{name}\0{raw}\0{format:?}\0{range}\0{}\0{:?}", preferences.count, info.columns);
    let if_none_match = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
    let if_none_match = if_none_match.collect::<Vec<_>>().join(",");
    let permit = app.query_permit().await?;
    let (head, answered) = oneshot::channel();
    let (body, chunks) = mpsc::channel(CHUNKS);
    let job = Job {
        engine: app.engine.clone(),
        collection: Arc::clone(&collection),
        info: Arc::clone(&info),
        plan: plan.clone(),
        format,
        count: preferences.count,
        seed,
        if_none_match,
    };
    let runtime = tokio::runtime::Handle::current();
    // Its end shows in the channels: `answered` fails where it panics, and `chunks` ends.
    drop(tokio::task::spawn_blocking(move || {
        let _permit = permit;
        produce(&job, &runtime, head, &body);
    }));
    let head = answered.await.map_err(|_| Problem::internal())??;
    respond(&info, &plan, &raw, format, &preferences, head, chunks)
}

fn respond(
    info: &CollectionInfo,
    plan: &Plan,
    raw: &str,
    format: Format,
    preferences: &Preferences,
    head: Head,
    chunks: mpsc::Receiver<std::io::Result<bytes::Bytes>>,
) -> Result<Response<Body>, Problem> {
    let mut response = Response::new(Body::empty());
    freshness_headers(head.freshness, response.headers_mut());
    let etag = HeaderValue::from_str(&head.etag).map_err(|_| Problem::internal())?;
    response.headers_mut().insert(header::ETAG, etag);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept, prefer, range"));
    if head.not_modified {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    if let Some(applied) = preferences.applied() {
        response.headers_mut().insert(HeaderName::from_static("preference-applied"), applied);
    }
    *response.status_mut() = content_range(plan, &head, response.headers_mut())?;
    match head.ended {
        None => *response.body_mut() = streamed(head.first, chunks),
        Some(Ended { next, .. }) => {
            if let Some(cursor) = next.filter(|_| !matches!(format, Format::Object { .. })) {
                let link = next_link(&info.name, raw, plan.limit, &cursor);
                let link = HeaderValue::from_str(&link).map_err(|_| Problem::internal())?;
                response.headers_mut().insert(header::LINK, link);
            }
            *response.body_mut() = Body::from(head.first);
        }
    }
    Ok(response)
}

/// PostgREST's `Content-Range` and status (<https://docs.postgrest.org/en/v13/references/api/pagination_count.html>).
/// A page behind a cursor does not know how many rows are before it.
fn content_range(plan: &Plan, head: &Head, headers: &mut HeaderMap) -> Result<StatusCode, Problem> {
    let total = head.total.map_or("*".to_owned(), |total| total.to_string());
    let rows = head.ended.as_ref().map(|ended| ended.rows);
    let empty = format!("*/{total}");
    if let (Some(total), None) = (head.total, &plan.after)
        && plan.offset > total
    {
        let content_range = HeaderValue::from_str(&empty).map_err(|_| Problem::internal())?;
        return Err(not_satisfiable()
            .with_details(format!("an offset of {} was requested, but there are only {total} rows", plan.offset))
            .with_header(header::CONTENT_RANGE, content_range));
    }
    // Without all rows at hand the size of a long answer follows from the count, where it was asked for.
    let rows = rows.or_else(|| {
        let rest = head.total?.saturating_sub(plan.offset);
        plan.after.is_none().then(|| plan.limit.map_or(rest, |limit| limit.min(rest)))
    });
    let Some(rows) = rows else { return Ok(StatusCode::OK) };
    let text = if rows == 0 || plan.after.is_some() {
        empty
    } else {
        format!("{}-{}/{total}", plan.offset, plan.offset + rows - 1)
    };
    headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(&text).map_err(|_| Problem::internal())?);
    Ok(match head.total {
        Some(total) if rows < total => StatusCode::PARTIAL_CONTENT,
        _ => StatusCode::OK,
    })
}

/// Cuts the query's limit and offset down to a `Range: first-last` of rows. Other forms of the header (bytes) do not
/// concern rows and are left alone, as PostgREST does.
fn narrow(query: &mut Query, range: &str) -> Result<(), Problem> {
    let Some((first, last)) = range.trim().split_once('-') else { return Ok(()) };
    let Ok(first) = first.parse::<u64>() else { return Ok(()) };
    let last = match last {
        "" => u64::MAX,
        last => match last.parse::<u64>() {
            Ok(last) => last,
            Err(_) => return Ok(()),
        },
    };
    if first > last {
        return Err(not_satisfiable()
            .with_details("the lower boundary must be lower than or equal to the upper boundary in the Range header"));
    }
    if query.limit == Some(0) {
        return Ok(());
    }
    let offset = query.offset.unwrap_or(0);
    let end = query.limit.map_or(u64::MAX, |limit| offset.saturating_add(limit - 1)).min(last);
    let start = offset.max(first);
    if start > end || i64::try_from(start).is_err() {
        return Err(
            not_satisfiable().with_details("the Range header and the query's limit and offset have no row in common")
        );
    }
    query.offset = (start > 0).then_some(start);
    query.limit = (end < u64::MAX).then(|| end - start + 1);
    Ok(())
}

fn not_satisfiable() -> Problem {
    Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "PGRST103", "requested range not satisfiable")
}

/// Clients of PostgREST name a schema; there is one, and it has PostgreSQL's name.
fn check_profile(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get("accept-profile").map(HeaderValue::as_bytes) {
        None | Some(b"public" | b"") => Ok(()),
        Some(other) => {
            let other = String::from_utf8_lossy(other).into_owned();
            Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "PGRST106", format!("invalid schema: {other}"))
                .with_hint("only the schema \"public\" is exposed"))
        }
    }
}

/// The same query, after the cursor.
fn next_link(name: &str, raw: &str, limit: Option<u64>, cursor: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (key, value) in form_urlencoded::parse(raw.as_bytes()) {
        let ours = key == "cursor" && !value.contains('.');
        if !ours && key != "limit" && key != "offset" {
            query.append_pair(&key, &value);
        }
    }
    if let Some(limit) = limit {
        query.append_pair("limit", &limit.to_string());
    }
    query.append_pair("cursor", cursor);
    format!("</data/{name}?{}>; rel=\"next\"", query.finish())
}

fn streamed(first: Vec<u8>, chunks: mpsc::Receiver<std::io::Result<bytes::Bytes>>) -> Body {
    let first = futures::stream::once(async move { Ok(bytes::Bytes::from(first)) });
    let rest = futures::stream::unfold(chunks, |mut chunks| async move { Some((chunks.recv().await?, chunks)) });
    Body::from_stream(futures::StreamExt::chain(first, rest))
}

/// How fresh the rows are: the commit, the watermark, the newest event's time, and its age in seconds.
pub fn freshness_headers(freshness: Freshness, headers: &mut HeaderMap) {
    headers.insert(COMMIT, HeaderValue::from(freshness.commit));
    let mut set = |name, text: Option<String>| {
        if let Some(value) = text.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(name, value);
        }
    };
    set(WATERMARK, freshness.watermark.map(values::timestamp));
    set(NEWEST, freshness.newest.map(values::timestamp));
    set(AGE, age(freshness).map(|age| format!("{age:.3}")));
}

/// Seconds since the newest event's time; none before the first event.
fn age(freshness: Freshness) -> Option<f64> {
    freshness.newest.map(|newest| (now_micros().saturating_sub(newest)) as f64 / 1e6)
}

/// `ANY /data/rpc/{function}` and other paths below a collection.
pub async fn below(State(app): State<Arc<App>>, Path((name, rest)): Path<(String, String)>) -> Response<Body> {
    if name == "rpc" {
        return Problem::new(StatusCode::NOT_FOUND, "PGRST202", format!("could not find the function {rest}"))
            .with_hint("collections are read with GET /data/{collection}; there are no functions to call")
            .into_response();
    }
    match app.collection(&name) {
        Ok(_) => Problem::plain(StatusCode::NOT_FOUND, format!("a collection has no \"{rest}\""))
            .with_hint(format!("its change feed is /data/{name}/changes"))
            .into_response(),
        Err(problem) => problem.into_response(),
    }
}
