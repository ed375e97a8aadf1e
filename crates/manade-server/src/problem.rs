//! Errors as a client sees them: RFC 9457 problem details that carry PostgREST's members too.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

pub const PROBLEM_JSON: &str = "application/problem+json";

/// An answer other than success. `code`, `message`, `details` and `hint` are what PostgREST's clients read
/// (<https://docs.postgrest.org/en/v13/references/errors.html>); codes that begin with `MANADE` are our own.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub status: StatusCode,
    pub code: Cow<'static, str>,
    pub message: String,
    pub details: Option<String>,
    pub hint: Option<String>,
    more: Box<More>,
}

/// What few problems have.
#[derive(Debug, Clone, PartialEq, Default)]
struct More {
    /// Further members, after the standard ones.
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), details: None, hint: None, more: Box::default() }
    }

    /// A 400 for a query string that does not parse.
    pub fn syntax(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "PGRST100", message)
    }

    /// With the code that is derived from the status.
    pub fn plain(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, format!("MANADE{}", status.as_u16()), message)
    }

    /// A 500 that says nothing of the inside; the log has the rest.
    pub fn internal() -> Self {
        Self::plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
            .with_hint("the server's log has the cause under the answer's x-request-id")
    }

    /// A 503 that names when to come back.
    pub fn busy(message: impl Into<String>, retry_after: std::time::Duration) -> Self {
        let seconds = retry_after.as_secs().max(1);
        Self::plain(StatusCode::SERVICE_UNAVAILABLE, message)
            .with_header(axum::http::header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// `did you mean "x"?` where a near name is known.
    pub fn with_nearest(self, nearest: Option<&str>) -> Self {
        match nearest {
            Some(name) => self.with_hint(format!("did you mean \"{name}\"?")),
            None => self,
        }
    }

    pub fn with_member(mut self, name: &str, value: Value) -> Self {
        self.more.members.insert(name.to_owned(), value);
        self
    }

    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.more.headers.push((name, value));
        self
    }

    pub fn body(&self) -> Value {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let detail = match &self.details {
            Some(details) => format!("{}: {details}", self.message),
            None => self.message.clone(),
        };
        let mut body = json!({
            "type": "about:blank",
            "title": title,
            "status": self.status.as_u16(),
            "detail": detail,
            "code": self.code,
            "message": self.message,
            "details": self.details,
            "hint": self.hint,
        });
        if let Value::Object(members) = &mut body {
            members.extend(self.more.members.clone());
        }
        body
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body().to_string()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        for (name, value) in self.more.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
