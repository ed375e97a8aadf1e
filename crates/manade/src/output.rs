//! Where output goes: how wide it may be, questions to the user, numbers and moments as text.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::failure::Failure;

#[cfg(test)]
mod tests;

/// Columns and lines of the terminal that stdout is; `None` where it is not one.
pub fn size() -> Option<(usize, usize)> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    terminal_size::terminal_size_of(&stdout).map(|(width, height)| (width.0.into(), height.0.into()))
}

/// Columns of the terminal that stdout is; `None` where it is not one.
pub fn width() -> Option<usize> {
    size().map(|(width, _)| width)
}

/// Writes to stdout at once.
pub fn say(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes a note to stderr, beside the output that a program may read.
pub fn note(text: &str) -> io::Result<()> {
    io::stderr().lock().write_all(text.as_bytes())
}

/// Asks before what cannot be undone, unless `yes` says that it is meant.
pub fn confirm(what: &str, yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::misuse(format!("{what}: this cannot be undone")).with_hint("confirm it with `--yes`"));
    }
    note(&format!("{what}: this cannot be undone. Go on? [y/N] "))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 event`, `2,000 events`.
pub fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(number))
}

/// As the API writes it: `2001-01-01T00:47:00Z`. `micros` since the epoch.
pub fn moment(micros: i64) -> String {
    manade_pipeline::values::timestamp(micros)
}
