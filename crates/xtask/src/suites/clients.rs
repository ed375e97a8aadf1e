//! PostgREST's own clients against the results API: see tests/clients.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{Suite, counting};
use crate::report::Outcome;
use crate::server::Server;
use crate::tools::{Need, Tools};
use crate::workspace::Workspace;

pub const PYTHON: Suite = Suite {
    name: "postgrest-py",
    needs: &[Need::Pip { environment: "postgrest", packages: &["postgrest==2.34.1"] }],
    run: python,
};

pub const JAVASCRIPT: Suite = Suite {
    name: "postgrest-js",
    needs: &[
        Need::Debian { package: "nodejs", probe: "node" },
        Need::Npm { folder: "postgrest", packages: &["@supabase/postgrest-js@2.119.1"] },
    ],
    run: javascript,
};

const LIMIT: Duration = Duration::from_mins(2);

fn python(workspace: &Workspace, tools: &Tools) -> Result<Outcome> {
    let server = Server::start(workspace, "postgrest-py")?;
    let mut command = Command::new(tools.pip_program("postgrest", "python"));
    command.current_dir(&workspace.root).env("PYTHONDONTWRITEBYTECODE", "1");
    counting(command.arg("tests/clients/client.py").arg(server.url("/data")), LIMIT)
}

fn javascript(workspace: &Workspace, tools: &Tools) -> Result<Outcome> {
    let server = Server::start(workspace, "postgrest-js")?;
    let mut command = Command::new("node");
    command.current_dir(&workspace.root).arg("tests/clients/client.mjs").arg(server.url("/data"));
    counting(command.arg(tools.npm_folder("postgrest")), LIMIT)
}
