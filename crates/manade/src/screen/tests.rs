use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;

use super::Screen;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<String>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().push(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

#[test]
fn lines_are_rewritten_in_place_and_logs_stand_above() {
    let written = Written::default();
    let screen = Screen::new(Box::new(written.clone()));
    screen.draw(&lines(&["a", "b"]), 80).expect("a terminal");
    screen.draw(&lines(&["a", "b"]), 80).expect("a terminal");
    screen.draw(&lines(&["c"]), 80).expect("a terminal");
    screen.print("a log line\n").expect("a terminal");
    screen.release();
    screen.print("done\n").expect("a terminal");
    let expect = [
        "a\x1b[K\nb\x1b[K\n",
        // Nothing for the second: it is the same.
        "\x1b[2Fc\x1b[K\n\x1b[J",
        "\x1b[1F\x1b[Ja log line\nc\n",
        "done\n",
    ];
    assert_eq!(*written.0.lock(), expect);
}

#[test]
fn a_line_never_wraps() {
    let written = Written::default();
    let screen = Screen::new(Box::new(written.clone()));
    screen.draw(&lines(&["0123456789"]), 8).expect("a terminal");
    assert_eq!(*written.0.lock(), ["012345…\x1b[K\n"]);
}
