//! The real program as a server: of the flights example, or of what a command says.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::http;
use crate::process;
use crate::workspace::Workspace;

const START: Duration = Duration::from_mins(1);

/// Stops when dropped.
pub struct Server {
    pub port: u16,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Reads all flights, then serves them. `name` is of the scratch folder.
    pub fn start(workspace: &Workspace, name: &str) -> Result<Self> {
        let folder = workspace.scratch(name)?;
        let (data, log) = (folder.join("data"), folder.join("log"));
        let up = || {
            let mut command = Command::new(workspace.manade());
            command.current_dir(&workspace.root).args(["up", "examples/flights", "--data"]).arg(&data);
            command.stdin(Stdio::null());
            command
        };
        process::output_of(up().arg("--once"), START)?;
        let mut server = Self::spawn(up(), log)?;
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Starts a command that serves, on a free port. What it writes goes to the log.
    pub fn spawn(mut command: Command, log: PathBuf) -> Result<Self> {
        let port = free_port()?;
        let file = File::create(&log)?;
        command.args(["--listen", &format!("127.0.0.1:{port}")]).stdout(file.try_clone()?).stderr(file);
        Ok(Self { port, child: command.spawn()?, log })
    }

    /// Of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// That it still runs.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("manade up ended with {status}\n{}", self.log()),
            None => Ok(()),
        }
    }

    /// What a path answers.
    pub fn json(&self, path: &str) -> Result<Value> {
        let response = http::get(self.port, path, "application/json")?;
        ensure!(response.status == 200, "{path} answers {}: {}", response.status, response.body);
        Ok(serde_json::from_str(&response.body)?)
    }

    /// How a pipeline's result stands.
    pub fn result(&self, pipeline: &str, name: &str) -> Result<Value> {
        let status = self.json(&format!("/api/v1/pipelines/{pipeline}"))?;
        let results = status["results"].as_array().context("a pipeline has results")?;
        results.iter().find(|result| result["name"] == name).cloned().with_context(|| format!("no result {name}"))
    }

    /// Rows of a collection, values with commas between, null as nothing.
    pub fn rows(&self, query: &str) -> Result<Vec<String>> {
        let rows = self.json(&format!("/data/{query}"))?;
        let text = |value: &Value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let row = |row: &Value| {
            row.as_object().map(|row| row.values().map(text).collect::<Vec<_>>().join(",")).unwrap_or_default()
        };
        Ok(rows.as_array().context("rows are an array")?.iter().map(row).collect())
    }

    pub fn wait_until_ready(&mut self) -> Result<()> {
        self.wait_for("/health/ready")
    }

    /// Until this path is answered well.
    pub fn wait_for(&mut self, path: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            self.check()?;
            if http::get(self.port, path, "*/*").is_ok_and(|response| response.status == 200) {
                return Ok(());
            }
            if start.elapsed() > START {
                bail!("manade up did not answer {path} within {} s\n{}", START.as_secs(), self.log());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port that the system gives to no client by itself, which are those from 32768 on: a server that is started again
/// finds it free. `behind`: from the port behind this one on.
pub fn lasting_port(behind: u16) -> Result<u16> {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000)?;
    let mut ports = first.max(behind + 1)..32_000;
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).context("no port is free")
}

/// Free at this moment.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
