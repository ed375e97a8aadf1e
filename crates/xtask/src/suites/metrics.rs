//! Prometheus' own linter on /metrics.

use std::fs::{self, File};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::Suite;
use crate::http;
use crate::process;
use crate::report::Outcome;
use crate::server::Server;
use crate::tools::{Need, Tools};
use crate::workspace::Workspace;

pub const SUITE: Suite =
    Suite { name: "promtool check metrics", needs: &[Need::Debian { package: "prometheus", probe: "promtool" }], run };

const LIMIT: Duration = Duration::from_mins(1);
/// promtool reads the older text format.
const ACCEPT: &str = "text/plain; version=0.0.4";

fn run(workspace: &Workspace, _: &Tools) -> Result<Outcome> {
    let server = Server::start(workspace, "metrics")?;
    let response = http::get(server.port, "/metrics", ACCEPT)?;
    if response.status != 200 || response.body.is_empty() {
        return Ok(Outcome::one(false, format!("/metrics answers {}\n{}", response.status, response.body)));
    }
    let path = workspace.scratch("metrics-text")?.join("metrics.txt");
    fs::write(&path, &response.body)?;
    let mut promtool = Command::new("promtool");
    let finished = process::run(promtool.args(["check", "metrics"]).stdin(File::open(&path)?), LIMIT)?;
    Ok(Outcome::one(finished.success(), format!("{}\n{}", finished.output, response.body)))
}
