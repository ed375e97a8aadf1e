//! Around every request: its id, the checks that protect a server on loopback, CORS, panics, metrics, and that an error
//! is always a problem document.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Response, StatusCode, Version};
use axum::middleware::Next;
use axum::response::IntoResponse;
use futures::FutureExt;

use crate::app::App;
use crate::options::ServerOptions;
use crate::problem::{PROBLEM_JSON, Problem};

#[cfg(test)]
mod tests;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Of a request id that a client sends; a longer one is replaced.
const LONGEST_ID: usize = 128;

pub async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response<Body> {
    let begun = Instant::now();
    let id = request_id(&app, request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let headers = request.headers().clone();
    let refused = malformed(&request).or_else(|| refused(&app.options, &method, &headers));
    let mut response = match refused {
        Some(response) => response,
        None => AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(request = ?id, %method, "a request panicked");
            Problem::internal().into_response()
        }),
    };
    if response.status().is_client_error() || response.status().is_server_error() {
        response = as_problem(response, &method, &path);
    }
    if response.status().is_server_error() {
        tracing::warn!(request = ?id, %method, route = route(&path), status = response.status().as_u16(), "request failed");
    }
    allow_origin(&app.options, &headers, response.headers_mut());
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response.headers_mut().insert(REQUEST_ID, id);
    app.metrics.answered(&method, route(&path), response.status(), begun.elapsed());
    response
}

/// The client's id where it is short visible text, else one of our own.
fn request_id(app: &App, headers: &HeaderMap) -> HeaderValue {
    let given = headers
        .get(&REQUEST_ID)
        .filter(|id| !id.is_empty() && id.len() <= LONGEST_ID && id.as_bytes().iter().all(u8::is_ascii_graphic));
    given.cloned().unwrap_or_else(|| {
        let id = format!("{:x}-{:x}", app.started as u64, app.requests.fetch_add(1, Ordering::Relaxed));
        HeaderValue::from_str(&id).expect("hexadecimal digits are a header's value")
    })
}

/// What another server or proxy might understand otherwise (<https://www.rfc-editor.org/rfc/rfc9112#section-11.2>).
fn malformed(request: &Request) -> Option<Response<Body>> {
    let headers = request.headers();
    let close = |problem: Problem| {
        Some(problem.with_header(header::CONNECTION, HeaderValue::from_static("close")).into_response())
    };
    let hosts: Vec<&HeaderValue> = headers.get_all(header::HOST).iter().collect();
    if hosts.len() > 1 || (hosts.is_empty() && request.version() == Version::HTTP_11) {
        return close(Problem::plain(StatusCode::BAD_REQUEST, "the request must have one Host header"));
    }
    let named = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    if let (Some(named), Some(host)) = (named, hosts.first())
        && !named.eq_ignore_ascii_case(host.as_bytes())
    {
        return close(Problem::plain(
            StatusCode::BAD_REQUEST,
            "the request's target has another host than its Host header",
        ));
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return close(
            Problem::plain(StatusCode::NOT_IMPLEMENTED, "the only transfer encoding that is understood is chunked")
                .with_hint("name what the body is packed with in Content-Encoding"),
        );
    }
    None
}

fn refused(options: &ServerOptions, method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
    if options.check_host
        && let Some(host) = headers.get(header::HOST)
        && !host.to_str().is_ok_and(|host| host_allowed(options, host))
    {
        let problem = Problem::plain(StatusCode::FORBIDDEN, "this server answers only for a loopback name")
            .with_hint("use http://127.0.0.1 or http://localhost");
        return Some(problem.into_response());
    }
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    if let Some(origin) = origin
        && !method.is_safe()
        && !same_origin(origin, headers)
        && !origin_allowed(options, origin)
    {
        let problem = Problem::plain(StatusCode::FORBIDDEN, format!("requests from {origin} are not allowed"))
            .with_hint("allow the origin by the server's CORS setting");
        return Some(problem.into_response());
    }
    let preflight = *method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if preflight && origin.is_some_and(|origin| origin_allowed(options, origin)) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let to = response.headers_mut();
        to.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, OPTIONS"));
        if let Some(asked) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            to.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        to.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        return Some(response);
    }
    None
}

/// Whether a `Host` header names this machine's loopback, or a host from the settings.
pub fn host_allowed(options: &ServerOptions, host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.to_ascii_lowercase();
    let loopback = name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    loopback
        || name == "localhost"
        || name.ends_with(".localhost")
        || options.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(&name) || allowed.eq_ignore_ascii_case(host))
}

fn same_origin(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    origin.split_once("://").is_some_and(|(_, of)| of.eq_ignore_ascii_case(host))
}

fn origin_allowed(options: &ServerOptions, origin: &str) -> bool {
    options.cors.iter().any(|allowed| allowed == "*" || allowed == origin)
}

fn allow_origin(options: &ServerOptions, headers: &HeaderMap, to: &mut HeaderMap) {
    let Some(origin) = headers.get(header::ORIGIN) else { return };
    if !origin.to_str().is_ok_and(|origin| origin_allowed(options, origin)) {
        return;
    }
    to.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    to.append(header::VARY, HeaderValue::from_static("origin"));
    to.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "content-range, content-location, link, etag, idempotency-replayed, preference-applied, retry-after, \
             x-request-id, x-manade-commit, x-manade-watermark, x-manade-newest, x-manade-age",
        ),
    );
}

/// Errors of the router and its extractors have no problem document yet.
fn as_problem(response: Response<Body>, method: &Method, path: &str) -> Response<Body> {
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == PROBLEM_JSON);
    if is_problem {
        return response;
    }
    let status = response.status();
    let problem = match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            let problem = Problem::new(status, "PGRST117", format!("the method {method} is not allowed here"));
            if path.starts_with("/data") {
                problem.with_hint("collections are read-only; events go to POST /ingest/{pipeline}")
            } else {
                problem.with_hint("the Allow header names the methods")
            }
        }
        // Of all extractors only the one of path segments refuses.
        StatusCode::BAD_REQUEST => {
            Problem::plain(status, "the path cannot be read").with_hint("write it in UTF-8, percent-encoded")
        }
        StatusCode::NOT_FOUND => {
            Problem::plain(status, "nothing is here").with_hint("see /docs, or /openapi.json for all paths")
        }
        _ => Problem::plain(status, status.canonical_reason().unwrap_or("the request cannot be answered")),
    };
    let mut answer = problem.into_response();
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = response.headers().get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}

/// The route of a path, for metrics: few values, whatever is asked for.
fn route(path: &str) -> &'static str {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match parts.as_slice() {
        ["ingest", _] => "/ingest/{pipeline}",
        ["data"] => "/data",
        ["data", _] => "/data/{collection}",
        ["data", _, "changes"] => "/data/{collection}/changes",
        ["api", "v1", "pipelines"] => "/api/v1/pipelines",
        ["api", "v1", "pipelines", _] => "/api/v1/pipelines/{pipeline}",
        ["api", "v1", "pipelines", _, "dead-letters", ..] => "/api/v1/pipelines/{pipeline}/dead-letters",
        ["health", ..] => "/health",
        ["metrics"] => "/metrics",
        ["openapi.json"] => "/openapi.json",
        ["docs", ..] => "/docs",
        [""] => "/",
        _ => "other",
    }
}
