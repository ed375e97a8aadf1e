//! Every command and request of README.md and docs/ runs as it is written, in order, page by page.
//!
//! Blocks marked `sh` are run by a shell in a folder with the examples. An `up` without `--once` goes on in the
//! background until the next `up` or a `stop`; `127.0.0.1:8080`, and any other port in its place, is the one where it
//! listens. A block marked `json` right behind one of commands is what the last one prints. What a reader has to have
//! done before, or what the text around a block says, is in a comment that the page does not show: `<!-- given: ... -->`
//! holds commands. A printed problem document says that the request fails.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use regex::Regex;
use serde_json::Value;

use crate::{PATIENCE, Place, Up, shown};

/// Runs this test among others.
const LEFT_OUT: &str = "cargo xtask test";

#[test]
fn readme() {
    check("README.md", 12);
}

#[test]
fn command_line() {
    check("docs/cli.md", 11);
}

#[test]
fn operating() {
    check("docs/operating.md", 7);
}

#[test]
fn pipeline_file() {
    check("docs/pipeline.md", 2);
}

#[test]
fn results_api() {
    check("docs/results-api.md", 13);
}

/// What a page says.
#[derive(Debug)]
enum Block {
    Commands(String),
    Printed(Value),
}

/// Runs a page that has at least so many blocks of commands.
fn check(page: &str, least: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join(page)).expect("the page is there");
    let blocks = blocks(&text);
    let commands = blocks.iter().filter(|block| matches!(block, Block::Commands(_))).count();
    assert!(commands >= least, "{page} has {commands} blocks of commands: are they still found?");
    let mut reader = Reader::new(&root);
    for (number, block) in blocks.iter().enumerate() {
        if let Block::Commands(commands) = block {
            let printed = blocks.get(number + 1);
            let printed = printed.and_then(|next| if let Block::Printed(json) = next { Some(json) } else { None });
            reader.run(page, commands, printed);
        }
    }
}

fn blocks(page: &str) -> Vec<Block> {
    let pattern = Regex::new(r"(?ms)^```(\w+)\n(.*?)^```$|<!-- given: (.*?) -->").expect("a pattern");
    let mut blocks = Vec::new();
    let mut end = 0;
    for found in pattern.captures_iter(page) {
        let whole = found.get(0).expect("it matched");
        let is_next = page[end..whole.start()].trim().is_empty();
        match (found.get(1).map(|language| language.as_str()), found.get(3)) {
            (Some("sh"), _) => blocks.push(Block::Commands(found[2].to_owned())),
            (Some("json"), _) if is_next && matches!(blocks.last(), Some(Block::Commands(_))) => {
                blocks.push(Block::Printed(serde_json::from_str(&found[2]).expect("JSON")));
            }
            (_, Some(given)) => blocks.push(Block::Commands(given.as_str().to_owned())),
            _ => {}
        }
        end = whole.end();
    }
    blocks
}

/// Who does what the page says.
struct Reader {
    place: Place,
    up: Option<Up>,
    address: String,
}

impl Reader {
    fn new(root: &Path) -> Self {
        let place = Place::empty();
        copy(&root.join("examples"), &place.path("examples"));
        let program = Path::new(env!("CARGO_BIN_EXE_manade"));
        fs::create_dir(place.path("bin")).expect("a folder");
        std::os::unix::fs::symlink(program, place.path("bin/manade")).expect("a link");
        // A status that is an error fails.
        let curl = "#!/bin/sh\nexec /usr/bin/curl --silent --show-error --fail-with-body \"$@\"\n";
        place.write("bin/curl", curl);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(place.path("bin/curl"), mode).expect("it is ours");
        Self { place, up: None, address: "127.0.0.1:1".to_owned() }
    }

    fn run(&mut self, page: &str, commands: &str, printed: Option<&Value>) {
        let commands = commands.replace("cargo run --release -- ", "manade ");
        let first = commands.trim().lines().next().unwrap_or_default().to_owned();
        if let Some(rest) = first.strip_prefix("manade up ").filter(|rest| !rest.contains("--once")) {
            assert_eq!(commands.trim(), first, "{page}: `up` goes on, so nothing can follow");
            self.stop(page);
            let rest: Vec<&str> = rest.split_whitespace().take_while(|word| *word != "--listen").collect();
            let up = self.place.up(&rest);
            self.address.clone_from(&up.address);
            self.up = Some(up);
            return;
        }
        if first == "stop" || first.starts_with("manade up ") || first.starts_with("manade reset ") {
            self.stop(page);
        }
        let commands = commands.trim().strip_prefix("stop").unwrap_or(&commands).trim().to_owned();
        if commands.is_empty() || commands == LEFT_OUT {
            return;
        }
        if commands.contains("/changes") {
            return self.follow(page, &commands);
        }
        // Events are read, and edits are taken up, after a moment.
        let start = Instant::now();
        loop {
            let output = self.shell(&commands).output().expect("a shell");
            let text = format!("{page}: {commands}\n{}", shown(&output));
            let is_right = match printed {
                Some(problem) if problem["status"].is_number() => {
                    !output.status.success()
                        && serde_json::from_slice::<Value>(&output.stdout).is_ok_and(|found| found == *problem)
                }
                _ if !output.status.success() => false,
                Some(json) => serde_json::from_slice::<Value>(&output.stdout).is_ok_and(|found| found == *json),
                None => true,
            };
            if is_right {
                return;
            }
            assert!(printed.is_some() && start.elapsed() < PATIENCE, "{text}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// A change feed does not end; it has told something once there is an event.
    fn follow(&self, page: &str, commands: &str) {
        let mut child = self.shell(commands).stdout(Stdio::piped()).spawn().expect("a shell");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let told = lines.map_while(Result::ok).any(|line| line.starts_with("event: "));
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        assert!(told, "{page}: {commands}");
    }

    fn shell(&self, commands: &str) -> Command {
        let address = Regex::new(r"127\.0\.0\.1:\d+").expect("a pattern");
        let commands = address.replace_all(commands, self.address.as_str());
        let path = std::env::var("PATH").expect("a path");
        let path = format!("{}:{path}", self.place.path("bin").display());
        let mut command = Command::new("sh");
        command.args(["-e", "-c", &commands]).current_dir(self.place.path("")).env("PATH", path).stdin(Stdio::null());
        command.env_remove("MANADE_URL");
        if self.up.is_some() {
            // Where the default address is another one.
            command.env("MANADE_URL", format!("http://{}", self.address));
        }
        command
    }

    fn stop(&mut self, page: &str) {
        if let Some(up) = self.up.take() {
            assert_eq!(up.stop().0, Some(0), "{page}: `up` has failed");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path: PathBuf = entry.expect("an entry").path();
        let name = path.file_name().expect("it has a name");
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).expect("it can be read");
        }
    }
}
