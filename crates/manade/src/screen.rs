//! A few lines at the bottom of a terminal that are rewritten in place, with whatever else is printed above them.

use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::table::cut;

#[cfg(test)]
mod tests;

/// Moves the cursor up so many lines, to the first column.
const UP: &str = "\x1b[";
const ERASE_BELOW: &str = "\x1b[J";
const ERASE_LINE: &str = "\x1b[K";

/// Clones draw on the same terminal.
#[derive(Clone)]
pub struct Screen(Arc<Mutex<State>>);

struct State {
    out: Box<dyn Write + Send>,
    lines: Vec<String>,
}

impl Screen {
    /// `out` is a terminal.
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(State { out, lines: Vec::new() })))
    }

    /// Puts these lines in place of the last ones, in one write so that nothing flickers.
    pub fn draw(&self, lines: &[String], width: usize) -> io::Result<()> {
        let mut state = self.0.lock();
        // The last column stays free: some terminals wrap when it is written.
        let lines: Vec<String> = lines.iter().map(|line| cut(line, width.saturating_sub(1)).into_owned()).collect();
        if lines == state.lines {
            return Ok(());
        }
        let mut text = up(state.lines.len());
        for line in &lines {
            text.push_str(line);
            text.push_str(ERASE_LINE);
            text.push('\n');
        }
        if lines.len() < state.lines.len() {
            text.push_str(ERASE_BELOW);
        }
        state.lines = lines;
        state.write(&text)
    }

    /// Prints whole lines above.
    pub fn print(&self, text: &str) -> io::Result<()> {
        let mut state = self.0.lock();
        let mut whole = up(state.lines.len());
        if !state.lines.is_empty() {
            whole.push_str(ERASE_BELOW);
        }
        whole.push_str(text);
        for line in &state.lines {
            whole.push_str(line);
            whole.push('\n');
        }
        state.write(&whole)
    }

    /// Leaves the lines where they are: what is printed next stands below.
    pub fn release(&self) {
        self.0.lock().lines.clear();
    }
}

impl State {
    fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

fn up(lines: usize) -> String {
    match lines {
        0 => String::new(),
        lines => format!("{UP}{lines}F"),
    }
}
