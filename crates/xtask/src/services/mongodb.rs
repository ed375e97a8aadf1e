//! FerretDB, which speaks MongoDB's protocol over SQLite: MongoDB itself is in no package registry.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Place, Service};
use crate::tools::{GoProgram, Need, Tools};

pub const SERVICE: Service = Service {
    name: "mongodb",
    needs: &[Need::Go { folder: "ferretdb", program: &FERRETDB }],
    port: 27017,
    command,
    ready: "Listening on TCP",
    url: |port| format!("mongodb://127.0.0.1:{port}"),
};

const FERRETDB: GoProgram = GoProgram {
    package: "github.com/FerretDB/FerretDB/cmd/ferretdb",
    version: "v1.24.2",
    generated: &[("github.com/FerretDB/FerretDB/build/version/version.txt", "v1.24.2\n")],
    // It asks for one more, empty message after SCRAM's last one, as MongoDB did before 4.4. MongoDB's driver for Rust does
    // not send that.
    mended: &[(
        "github.com/FerretDB/FerretDB/internal/handler/msg_saslcontinue.go",
        "\"done\", valid, // for compatibility",
        "\"done\", conv.Valid(), // for compatibility",
    )],
};

fn command(place: &Place) -> Result<Command> {
    let Place { folder, port, settings } = place;
    let (data, state) = (folder.join("data"), folder.join("state"));
    for folder in [&data, &state] {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let mut command = Command::new(Tools::new(false)?.go_program("ferretdb"));
    command.args(["--handler=sqlite", "--telemetry=disable", "--debug-addr=-", "--log-level=info"]);
    command.arg(format!("--sqlite-url=file:{}/", data.display())).arg(format!("--state-dir={}", state.display()));
    command.arg(format!("--listen-addr=127.0.0.1:{port}")).args(settings.lines());
    Ok(command)
}
