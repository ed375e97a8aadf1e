//! The command line: `args` says what may be written, `commands` has a file for each command, `client` talks to a
//! running platform or to a stopped one's data folder, `failure` words what went wrong.

use std::process::ExitCode;

use clap::Parser;

mod args;
mod client;
mod commands;
mod failure;
mod logs;
mod output;
mod screen;
mod signals;
mod stored;
mod table;

fn main() -> ExitCode {
    match commands::run(args::Cli::parse()) {
        Ok(outcome) => outcome.code(),
        Err(failure) => failure.report(),
    }
}
