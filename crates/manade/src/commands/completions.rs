//! `manade completions`.

use clap::CommandFactory;

use crate::args::{Cli, Completions};
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub fn run(args: &Completions) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "manade", &mut script);
    say(&String::from_utf8(script)?)?;
    Ok(Outcome::Done)
}
