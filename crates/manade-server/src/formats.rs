//! Formats of rows, and how a client chooses one: `format=`, else `Accept`.

use axum::http::{HeaderMap, StatusCode, header};

use crate::problem::Problem;

pub use encoder::{Encoder, object};

mod encoder;
#[cfg(test)]
mod tests;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An array of rows.
    Json {
        strip_nulls: bool,
    },
    /// One row, not in an array; an error where there is not exactly one.
    Object {
        strip_nulls: bool,
    },
    Ndjson,
    Csv,
    /// Arrow's IPC stream.
    Arrow,
    Parquet,
}

/// Names for `format=`, media type.
const NAMED: [(&str, Format); 5] = [
    ("json", Format::Json { strip_nulls: false }),
    ("ndjson", Format::Ndjson),
    ("csv", Format::Csv),
    ("arrow", Format::Arrow),
    ("parquet", Format::Parquet),
];

impl Format {
    pub fn named(name: &str) -> Result<Self, Problem> {
        let found = NAMED.iter().find(|(known, _)| *known == name);
        found.map(|(_, format)| *format).ok_or_else(|| {
            let names = NAMED.map(|(name, _)| name);
            Problem::syntax(format!("unknown format \"{name}\"")).with_hint(format!("one of: {}", names.join(", ")))
        })
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json { strip_nulls: false } => "application/json",
            Self::Json { strip_nulls: true } => "application/vnd.pgrst.array+json;nulls=stripped",
            Self::Object { strip_nulls: false } => "application/vnd.pgrst.object+json",
            Self::Object { strip_nulls: true } => "application/vnd.pgrst.object+json;nulls=stripped",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Whether a query without a limit gives a page rather than all rows.
    pub fn is_paged(self) -> bool {
        matches!(self, Self::Json { .. } | Self::Object { .. })
    }

    /// The first acceptable format, by the client's weights and then its order.
    pub fn accepted(headers: &HeaderMap) -> Result<Self, Problem> {
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let all = values.collect::<Vec<_>>().join(",");
        if all.trim().is_empty() {
            return Ok(Self::Json { strip_nulls: false });
        }
        let ranges: Vec<_> = all.split(',').filter_map(media_range).collect();
        let is = |format: &Self, other: &Self| std::mem::discriminant(format) == std::mem::discriminant(other);
        // What is named with no weight is not meant by a `*` either.
        let refused = |format: &Self| {
            ranges.iter().any(|(weight, of)| *weight == 0.0 && matches!(of.as_slice(), [only] if is(only, format)))
        };
        let mut best: Option<(f32, Self)> = None;
        for (weight, formats) in &ranges {
            if *weight > 0.0 && best.is_none_or(|(heaviest, _)| *weight > heaviest) {
                best = formats.iter().find(|format| !refused(format)).map(|format| (*weight, *format)).or(best);
            }
        }
        best.map(|(_, format)| format).ok_or_else(|| {
            let message = format!("none of these media types are available: {all}");
            Problem::new(StatusCode::NOT_ACCEPTABLE, "PGRST107", message)
                .with_hint(format!("available: {}", NAMED.map(|(_, format)| format.media_type()).join(", ")))
        })
    }
}

/// The formats that `type/subtype;parameter=value;q=0.5` means, the best first, and its weight.
fn media_range(text: &str) -> Option<(f32, Vec<Format>)> {
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next()?.to_ascii_lowercase();
    let (mut weight, mut strip_nulls) = (1.0, false);
    for parameter in parts {
        match parameter.split_once('=') {
            Some(("q", value)) => weight = value.parse().ok()?,
            Some(("nulls", "stripped")) => strip_nulls = true,
            _ => {}
        }
    }
    let format = match media_type.as_str() {
        "*/*" => return Some((weight, NAMED.map(|(_, format)| format).to_vec())),
        "application/*" | "text/*" => {
            let family = media_type.trim_end_matches('*');
            let formats = NAMED.iter().map(|(_, format)| *format);
            return Some((weight, formats.filter(|format| format.media_type().starts_with(family)).collect()));
        }
        "application/json" | "application/vnd.pgrst.array+json" | "application/vnd.pgrst.array" => {
            Format::Json { strip_nulls }
        }
        "application/vnd.pgrst.object+json" | "application/vnd.pgrst.object" => Format::Object { strip_nulls },
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Format::Ndjson,
        "text/csv" => Format::Csv,
        "application/vnd.apache.arrow.stream" => Format::Arrow,
        "application/vnd.apache.parquet" => Format::Parquet,
        _ => return None,
    };
    Some((weight, vec![format]))
}
