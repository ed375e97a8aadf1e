//! The `Prefer` header (RFC 7240), as PostgREST reads it.

use axum::http::{HeaderMap, HeaderValue, StatusCode};

use crate::problem::Problem;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preferences {
    /// Count all rows that match. PostgREST's `planned` and `estimated` are counted exactly too.
    pub count: bool,
    count_named: Option<&'static str>,
    strict: bool,
}

/// Preferences that concern writes or sessions: known, without a meaning here.
const WITHOUT_MEANING: [&str; 6] = ["return", "resolution", "missing", "timezone", "tx", "max-affected"];

impl Preferences {
    pub fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut preferences = Self::default();
        let mut unknown = Vec::new();
        let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        for token in values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty()) {
            let (name, value) = token.split_once('=').unwrap_or((token, ""));
            match (name.trim().to_ascii_lowercase().as_str(), value.trim().trim_matches('"')) {
                ("count", "exact") => preferences.count_named = Some("count=exact"),
                ("count", "planned") => preferences.count_named = Some("count=planned"),
                ("count", "estimated") => preferences.count_named = Some("count=estimated"),
                ("handling", "strict") => preferences.strict = true,
                ("handling", "lenient") => {}
                (name, _) if WITHOUT_MEANING.contains(&name) => {}
                _ => unknown.push(token.to_owned()),
            }
        }
        if preferences.strict && !unknown.is_empty() {
            let message = "invalid preferences given with handling=strict";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "PGRST122", message)
                .with_details(format!("invalid preferences: {}", unknown.join(", "))));
        }
        preferences.count = preferences.count_named.is_some();
        Ok(preferences)
    }

    /// `Preference-Applied`.
    pub fn applied(&self) -> Option<HeaderValue> {
        let strict = self.strict.then_some("handling=strict");
        let applied: Vec<&str> = strict.into_iter().chain(self.count_named).collect();
        if applied.is_empty() { None } else { HeaderValue::from_str(&applied.join(", ")).ok() }
    }
}
