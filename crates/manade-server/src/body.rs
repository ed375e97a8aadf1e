//! A request's body: read within its bounds and at a client's pace that is not too slow, then unpacked.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use futures::StreamExt;
use manade_events::ingest::{self, Packing, UnpackError};

use crate::options::ServerOptions;
use crate::problem::Problem;

#[cfg(test)]
mod tests;

/// A body that comes slower than this for longer than the stall time is given up, bytes a second.
const SLOWEST: u64 = 1_024;

/// By `Content-Encoding`; `None` for a body that is sent as it is.
pub fn packing(headers: &HeaderMap) -> Result<Option<Packing>, Problem> {
    let value = headers.get(header::CONTENT_ENCODING).map_or(Ok("identity"), HeaderValue::to_str);
    let name = value.unwrap_or_default().trim().to_ascii_lowercase();
    match Packing::named(&name) {
        None if name != "identity" => Err(Problem::plain(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("the content encoding \"{name}\" is not supported"),
        )
        .with_hint("send identity, gzip or zstd")
        .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"))),
        packing => Ok(packing),
    }
}

/// All of a body.
pub async fn read(body: Body, headers: &HeaderMap, options: &ServerOptions) -> Result<Vec<u8>, Problem> {
    let length: Option<u64> = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length| length > options.max_body) {
        return Err(too_large(options.max_body, "the body"));
    }
    let mut bytes = Vec::with_capacity(length.unwrap_or(0).min(1 << 20) as usize);
    let mut frames = body.into_data_stream();
    let started = Instant::now();
    loop {
        let frame = match tokio::time::timeout(options.stall, frames.next()).await {
            Err(_) => return Err(too_slow(options.stall)),
            Ok(None) => return Ok(bytes),
            Ok(Some(frame)) => frame.map_err(|_| broken())?,
        };
        bytes.extend_from_slice(&frame);
        if bytes.len() as u64 > options.max_body {
            return Err(too_large(options.max_body, "the body"));
        }
        let allowed = options.stall + Duration::from_secs(bytes.len() as u64 / SLOWEST);
        if started.elapsed() > allowed {
            return Err(too_slow(options.stall));
        }
    }
}

/// Blocks; `limit`: bytes of the result.
pub fn unpack(bytes: Vec<u8>, packing: Option<Packing>, limit: u64) -> Result<Vec<u8>, Problem> {
    let Some(packing) = packing else { return Ok(bytes) };
    ingest::unpack(&bytes, packing, limit).map_err(|error| match error {
        UnpackError::TooLarge { limit } => too_large(limit, "the unpacked body"),
        UnpackError::Damaged(_) => {
            Problem::plain(StatusCode::BAD_REQUEST, "the body cannot be unpacked by its content encoding")
        }
    })
}

fn too_large(limit: u64, what: &str) -> Problem {
    Problem::plain(StatusCode::PAYLOAD_TOO_LARGE, format!("{what} has more than {limit} bytes"))
        .with_hint("send the events in several requests")
        .with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

fn too_slow(stall: Duration) -> Problem {
    Problem::plain(StatusCode::REQUEST_TIMEOUT, format!("the body did not come for {} s", stall.as_secs()))
        .with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

fn broken() -> Problem {
    Problem::plain(StatusCode::BAD_REQUEST, "the body ended before its length")
}
