//! Requests generated from /openapi.json of the flights example: every answer must be one that the document describes.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

use super::Suite;
use crate::process;
use crate::report::Outcome;
use crate::server::Server;
use crate::tools::{Need, Tools};
use crate::workspace::Workspace;

pub const SUITE: Suite = Suite {
    name: "schemathesis",
    needs: &[Need::Pip { environment: "schemathesis", packages: &["schemathesis==4.32.5"] }],
    run,
};

const LIMIT: Duration = Duration::from_mins(10);
/// The change feed never ends.
const LEFT_OUT: &str = "/changes$";

fn run(workspace: &Workspace, tools: &Tools) -> Result<Outcome> {
    let server = Server::start(workspace, "schemathesis")?;
    let mut command = Command::new(tools.pip_program("schemathesis", "schemathesis"));
    command.current_dir(workspace.scratch("schemathesis-report")?);
    command.args(["run", &server.url("/openapi.json"), "--checks", "all", "--exclude-path-regex", LEFT_OUT]);
    command.args(["--max-examples", "50", "--seed", "1", "--request-timeout", "30", "--no-color"]);
    let finished = process::run(command.stdin(Stdio::null()), LIMIT)?;
    Ok(Outcome::one(finished.success(), finished.output))
}
