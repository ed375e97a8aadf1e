//! The program as a user runs it: every command's success and failure, over small platforms in temporary folders.
//!
//! Snapshots hold wording and layout. The numbers and rows in them follow from the few events of [`EVENTS`], by hand.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use regex::Regex;
use tempfile::TempDir;

mod cli {
    mod check;
    mod data;
    mod dead_letters;
    mod general;
    mod generate;
    mod init;
    mod live;
    mod pages;
    mod test;
    mod up;
}

/// Three good events, one whose value is a number written as text, one line that is no JSON.
const EVENTS: &str = r#"{"at":"2026-01-01T10:00:00Z","kind":"click","value":1}
{"at":"2026-01-01T10:30:00Z","kind":"view","value":2.5}
{"at":"2026-01-01T11:00:00Z","kind":"click","value":4}
{"at":"2026-01-01T11:10:00Z","kind":"click","value":"7"}
not json
"#;

const PIPELINE: &str = r#"apiVersion: manade.dev/v1alpha1
kind: Pipeline
metadata:
  name: clicks
spec:
  source:
    file: { path: events.ndjson, follow: false }
  events:
    schema:
      at: timestamp
      kind: string
      value: double
    time: at
  results:
    - name: by_kind
      description: Number of events by kind.
      sql: SELECT kind, count(*) AS events, sum(value) AS total FROM events GROUP BY kind
      retain: 30 days
    - name: hourly
      sql: SELECT window(at, '1 hour') AS hour, count(*) AS events FROM events GROUP BY 1
    - name: large
      sql: SELECT at, kind, value FROM events WHERE value > 2
  tests:
    - name: clicks are counted
      given:
        - { at: "2026-01-01T10:00:00Z", kind: click, value: 1 }
        - { at: "2026-01-01T10:01:00Z", kind: click, value: 2 }
      expect:
        by_kind: [{ kind: click, events: 2, total: 3.0 }]
    - name: small values are left out
      given:
        - { at: "2026-01-01T10:00:00Z", kind: click, value: 1 }
      expect:
        large: []
"#;

const PATIENCE: Duration = Duration::from_secs(30);

/// A folder that commands are run in.
struct Place(TempDir);

/// A running `up`.
struct Up {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    /// Where it listens.
    address: String,
}

impl Place {
    fn empty() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// With the pipeline and its events.
    fn with_platform() -> Self {
        let place = Self::empty();
        place.write("clicks.yaml", PIPELINE);
        place.write("events.ndjson", EVENTS);
        place
    }

    /// And all events read.
    fn with_data() -> Self {
        let place = Self::with_platform();
        let output = place.output(&["up", "--once"]);
        assert!(output.status.success(), "{}", shown(&output));
        place
    }

    fn append(&self, name: &str, text: &str) {
        let file = fs::OpenOptions::new().append(true).open(self.path(name));
        file.expect("it is there").write_all(text.as_bytes()).expect("written");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().expect("a parent")).expect("made");
        fs::write(self.path(name), text).expect("written");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_manade"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        command.env_remove("MANADE_URL").env("COLUMNS", "100").env("NO_COLOR", "1");
        command
    }

    fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program starts")
    }

    /// Exit code, stdout and stderr as a snapshot holds them.
    fn run(&self, args: &[&str]) -> String {
        self.normal(&shown(&self.output(args)))
    }

    /// Without what differs from one run to the next.
    fn normal(&self, text: &str) -> String {
        let folder = self.0.path().canonicalize().expect("it is there");
        let text =
            text.replace(&*folder.to_string_lossy(), "[DIR]").replace(&*self.0.path().to_string_lossy(), "[DIR]");
        let replace = |text: &str, pattern: &str, with: &str| {
            Regex::new(pattern).expect("a pattern").replace_all(text, with).into_owned()
        };
        let text = replace(&text, r"in \d+\.\d s", "in [T] s");
        let text = replace(&text, r"process \d+", "process [PID]");
        let text = replace(&text, r"127\.0\.0\.1:\d{2,5}", "127.0.0.1:[PORT]");
        // Times that are not an event's.
        let time = Regex::new(r"20\d\d-\d\d-\d\dT[0-9:.]+Z").expect("a pattern");
        let text = time.replace_all(&text, |found: &regex::Captures<'_>| match &found[0] {
            event if event.starts_with("2026-01-01T") => event.to_owned(),
            _ => "[NOW]".to_owned(),
        });
        replace(&text, r"(?m)^\S+Z +(ERROR|WARN|INFO)", "[NOW] $1")
    }

    /// `manade up`; its log is `up.log`.
    fn up(&self, args: &[&str]) -> Up {
        let mut command = self.command(&["up", "--listen", "127.0.0.1:0"]);
        let log = fs::File::create(self.path("up.log")).expect("written");
        let mut child = command.args(args).stdout(Stdio::piped()).stderr(log).spawn().expect("it starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let mut up = Up { child, out, address: String::new() };
        let line = up.wait_for("http://");
        line.split('/').nth(2).expect("an address").clone_into(&mut up.address);
        // What says where the pipelines are comes once they run.
        up.wait_for("pipeline  ");
        up
    }

    /// Until the log of [`Self::up`] holds `text`.
    fn wait_for_log(&self, text: &str) {
        until(text, || fs::read_to_string(self.path("up.log")).expect("it is there"));
    }

    /// Until what the command prints holds `text`.
    fn wait_for(&self, args: &[&str], text: &str) -> String {
        until(text, || self.run(args))
    }
}

/// Until what is read holds `text`.
fn until(text: &str, read: impl Fn() -> String) -> String {
    let start = Instant::now();
    loop {
        let shown = read();
        if shown.contains(text) {
            return shown;
        }
        assert!(start.elapsed() < PATIENCE, "no `{text}` in {shown}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Up {
    fn wait_for(&mut self, text: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(text) {
                return line;
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.out.read_line(&mut line).expect("text") > 0, "`up` has ended");
        line
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill");
        assert!(status.success());
    }

    /// Its exit code after SIGTERM, and the rest of what it printed.
    fn stop(mut self) -> (Option<i32>, String) {
        self.signal("-TERM");
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).expect("text");
        (self.child.wait().expect("it ends").code(), rest)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body.
fn get(address: &str, path: &str) -> (u16, String) {
    answer(request(address, path))
}

fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

fn request(address: &str, path: &str) -> TcpStream {
    send(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"))
}

fn post(address: &str, path: &str, body: &str) -> (u16, String) {
    let head = format!("POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\n");
    answer(send(address, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())))
}

fn send(address: &str, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    stream.write_all(request.as_bytes()).expect("sent");
    stream
}

fn shown(output: &Output) -> String {
    let code = output.status.code().map_or("a signal".to_owned(), |code| code.to_string());
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("exit: {code}\n--- stdout\n{out}--- stderr\n{err}")
}

/// Runs of spaces, which depend on how long a time is.
fn squeezed(text: &str) -> String {
    Regex::new(" {2,}").expect("a pattern").replace_all(text, "  ").into_owned()
}

fn exists(path: &Path) -> bool {
    path.exists()
}
