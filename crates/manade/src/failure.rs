//! What went wrong, why, and what to do about it; and what the process says with its exit code.

use std::error::Error;
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;

#[cfg(test)]
mod tests;

/// How a command ended whose work could be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// The work failed, and the command has said so: findings, failed tests.
    Failed,
}

/// Why a command could not do its work. Shown as `error: ...`, its causes, and a `hint: ...` on stderr.
#[derive(Debug)]
pub struct Failure {
    error: anyhow::Error,
    hint: Option<String>,
    /// The command line asks for what cannot be, rather than the work having failed.
    misuse: bool,
}

/// Puts what was being done before why it could not be done.
pub trait Context<T> {
    fn context(self, doing: impl Display + Send + Sync + 'static) -> Result<T, Failure>;
}

impl Outcome {
    pub fn code(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Failed => ExitCode::FAILURE,
        }
    }
}

impl Failure {
    pub fn new(message: impl Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self { error: anyhow::Error::msg(message), hint: None, misuse: false }
    }

    /// Exit code 2, as for arguments that do not parse.
    pub fn misuse(message: impl Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self { misuse: true, ..Self::new(message) }
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Writes it to stderr. A reader of our output that went away, as `head` does, is no failure.
    pub fn report(&self) -> ExitCode {
        if self.is_broken_pipe() {
            return ExitCode::SUCCESS;
        }
        // Nobody is left to tell where stderr cannot be written.
        let _ = io::stderr().lock().write_all(self.to_string().as_bytes());
        ExitCode::from(if self.misuse { 2 } else { 1 })
    }

    pub fn is_broken_pipe(&self) -> bool {
        let is = |cause: &(dyn Error + 'static)| {
            cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        };
        self.error.chain().any(is)
    }
}

/// Whole lines, the last one ended too.
impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.error)?;
        for cause in self.error.chain().skip(1) {
            writeln!(f, "  because: {cause}")?;
        }
        match &self.hint {
            Some(hint) => writeln!(f, "hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), hint: None, misuse: false }
    }
}

impl<T, E: Error + Send + Sync + 'static> Context<T> for Result<T, E> {
    fn context(self, doing: impl Display + Send + Sync + 'static) -> Result<T, Failure> {
        self.map_err(|error| Failure { error: anyhow::Error::from(error).context(doing), hint: None, misuse: false })
    }
}

/// `hint: did you mean ...`, where something near is known.
pub fn nearest<'a>(failure: Failure, name: &str, known: impl Iterator<Item = &'a str>, otherwise: &str) -> Failure {
    match manade_model::closest(name, known) {
        Some(near) => failure.with_hint(format!("did you mean `{near}`?")),
        None => failure.with_hint(otherwise),
    }
}
