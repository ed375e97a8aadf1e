//! Developer commands, run as `cargo xtask COMMAND`.
//!
//! - [`command`]: the command line
//! - [`test`]: everything that must hold: [`tidy`], cargo's own checks and tests, [`generate`]d files, the [`suites`] that
//!   need other programs
//! - [`bench`]: what is promised of speed, beside other systems
//! - [`tools`]: those programs, installed into a cache folder
//! - [`crash`]: kills the program again and again; [`fuzz`]: gives it what nobody would
//! - [`services`]: brokers and stores to try things with
//! - [`report`]: what the developer sees; [`process`], [`server`], [`http`]: what it takes to run things

mod bench;
mod command;
mod crash;
mod fuzz;
mod generate;
mod http;
mod process;
mod random;
mod report;
mod server;
mod services;
mod suites;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    match command::run(std::env::args().skip(1).collect()) {
        Ok(code) => code,
        Err(error) => {
            report::complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
