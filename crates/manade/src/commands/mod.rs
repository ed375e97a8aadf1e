//! A file for each command.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use manade_model::{Finding, Severity};
use manade_run::PlatformError;

use crate::args::{Cli, Command};
use crate::client::DEFAULT_DATA;
use crate::failure::{Failure, Outcome};
use crate::output::{counted, note};

mod check;
mod completions;
mod data;
mod dead_letters;
mod functions;
mod generate;
mod init;
mod openapi;
mod reset;
mod schema;
mod status;
mod test;
mod up;

pub fn run(cli: Cli) -> Result<Outcome, Failure> {
    match cli.command {
        Command::Up(args) => up::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Data(args) => data::run(&args),
        Command::Reset(args) => reset::run(&args),
        Command::DeadLetters(args) => dead_letters::run(&args),
        Command::Schema => schema::run(),
        Command::Functions(args) => functions::run(&args),
        Command::Openapi(args) => openapi::run(&args),
        Command::Completions(args) => completions::run(&args),
    }
}

/// Beside the platform, where none is named.
fn data_folder(platform: &Path, named: Option<&Path>) -> PathBuf {
    if let Some(named) = named {
        return named.to_owned();
    }
    let folder = if platform.is_file() { platform.parent().unwrap_or(Path::new("")) } else { platform };
    folder.join(DEFAULT_DATA)
}

fn platform_failure(error: PlatformError) -> Failure {
    let hint = match &error {
        PlatformError::Missing { .. } => "name a folder of YAML files, or one file; `manade init` writes a first one",
        PlatformError::Empty { .. } => "`manade init` writes a first pipeline; files end in .yaml or .yml",
        PlatformError::NoPipeline { .. } => "name a folder or file with a pipeline; `manade init` writes a first one",
        PlatformError::Io { .. } => "mend its access rights",
    };
    Failure::from(error).with_hint(hint)
}

/// Prints all of them to stderr, and how many there are.
fn report_findings(findings: &[Finding]) -> Result<Outcome, Failure> {
    let mut out = String::new();
    for finding in findings {
        let _ = writeln!(out, "{finding}");
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    let (errors, notes) = (count(Severity::Error), count(Severity::Note));
    let counts = match (errors, notes) {
        (0, 0) => return Ok(Outcome::Done),
        (0, notes) => counted(notes, "note"),
        (errors, 0) => counted(errors, "error"),
        (errors, notes) => format!("{}, {}", counted(errors, "error"), counted(notes, "note")),
    };
    note(&format!("{out}{counts}\n"))?;
    Ok(if errors == 0 { Outcome::Done } else { Outcome::Failed })
}
