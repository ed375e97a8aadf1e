//! That secrets stay secret.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::http;
use crate::server::Server;

/// These texts are in nothing that Manade shows of a pipeline or keeps of it.
pub fn expect_none(server: &Server, pipeline: &str, data: &Path, secrets: &[&str]) -> Result<()> {
    let mut shown = vec![("the log".to_owned(), server.log().into_bytes())];
    let pipeline = format!("/api/v1/pipelines/{pipeline}");
    for path in ["/api/v1/pipelines", &pipeline, "/metrics", "/health/ready", "/data"] {
        shown.push((path.to_owned(), http::get(server.port, path, "*/*")?.body.into_bytes()));
    }
    shown.push(("its arguments".to_owned(), fs::read(format!("/proc/{}/cmdline", server.id()))?));
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                // One that has been dropped meanwhile holds nothing.
                shown.push((path.display().to_string(), fs::read(&path).unwrap_or_default()));
            }
        }
    }
    for (what, bytes) in &shown {
        for secret in secrets {
            let is_in = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            ensure!(!is_in, "a secret is in {what}");
        }
    }
    Ok(())
}
