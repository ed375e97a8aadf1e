//! /docs in a real browser: Swagger UI comes from within the program and shows the collections.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};

use super::Suite;
use crate::process;
use crate::report::Outcome;
use crate::server::Server;
use crate::tools::{Need, Tools};
use crate::workspace::Workspace;

pub const SUITE: Suite =
    Suite { name: "docs in Chromium", needs: &[Need::Debian { package: "chromium", probe: "chromium" }], run };

const LIMIT: Duration = Duration::from_mins(2);
/// The page must show these, written by Swagger UI's scripts.
const SHOWN: [&str; 3] = ["/data/delays_by_city", "/data/long_delays", "opblock"];
/// And none of these, which would ask another server.
const ELSEWHERE: [&str; 4] = ["src=\"http", "src=\"//", "url(http", "validator.swagger.io"];

fn run(workspace: &Workspace, _: &Tools) -> Result<Outcome> {
    let server = Server::start(workspace, "browser")?;
    let folder = workspace.scratch("browser-profile")?;
    let url = server.url("/docs");
    let page = process::output_of(chromium(&folder).arg("--dump-dom").arg(&url), LIMIT)?;
    let missing: Vec<&str> = SHOWN.into_iter().filter(|text| !page.contains(text)).collect();
    let foreign: Vec<&str> = ELSEWHERE.into_iter().filter(|text| page.contains(text)).collect();
    let picture = folder.join("docs.png");
    process::output_of(chromium(&folder).arg(format!("--screenshot={}", picture.display())).arg(&url), LIMIT)?;
    if !picture.is_file() {
        bail!("chromium wrote no screenshot");
    }
    let told = format!("the page lacks {}, and has {}\n{page}", missing.join(", "), foreign.join(", "));
    let mut outcome = Outcome::one(missing.is_empty() && foreign.is_empty(), told);
    outcome.notes.push(format!("screenshot: {}", picture.display()));
    Ok(outcome)
}

/// Talks to nobody but the page's own server.
fn chromium(folder: &Path) -> Command {
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1200,1600"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]);
    command.args(["--proxy-server=http://127.0.0.1:9", "--proxy-bypass-list=<-loopback>;127.0.0.1"]);
    command.arg("--virtual-time-budget=10000").arg(format!("--user-data-dir={}", folder.join("profile").display()));
    command.stdin(Stdio::null());
    command
}
