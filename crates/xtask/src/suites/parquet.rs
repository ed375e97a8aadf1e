//! The sink `parquet`, as DuckDB and Spark read its folder, through kills and trouble with its folders.
//!
//! What they read is held against what the results API says, row by row: a lost one is missing, a doubled one is there twice.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Case, PATIENCE, Suite, run_cases, wait_for};
use crate::process;
use crate::report::Outcome;
use crate::server::Server;
use crate::tools::{JAVA, Need, SPARK, Tools};
use crate::workspace::Workspace;

pub const DUCKDB: Need = Need::Pip { environment: "duckdb", packages: &["duckdb==1.4.4", "pytz==2025.2"] };

pub const SUITE: Suite = Suite { name: "parquet", needs: &[DUCKDB, JAVA, SPARK], run };

const CASES: [Case<Rig>; 4] = [
    ("rows as DuckDB and Spark read them", read),
    ("manade killed under load", killed),
    ("a folder that cannot be made", blocked),
    ("`up --once`, which waits for nothing", once),
];

fn run(workspace: &Workspace, tools: &Tools) -> Result<Outcome> {
    let mut rig = Rig {
        program: workspace.manade(),
        script: workspace.root.join("tests/parquet/read.py"),
        duckdb: tools.pip_program("duckdb", "python"),
        spark: tools.pip_program("spark", "python"),
        folder: workspace.scratch("parquet")?,
        server: None,
        case: 0,
    };
    Ok(run_cases(&mut rig, &CASES))
}

struct Rig {
    program: PathBuf,
    script: PathBuf,
    duckdb: PathBuf,
    spark: PathBuf,
    folder: PathBuf,
    server: Option<Server>,
    /// Counts the cases: each has a folder of its own.
    case: u32,
}

fn read(rig: &mut Rig) -> Result<()> {
    rig.start("1 second")?;
    rig.append(1, 2_000)?;
    rig.expect_same(2_000)?;
    ensure!(rig.read("spark")? == rig.rows()?, "Spark reads other rows");
    Ok(())
}

fn killed(rig: &mut Rig) -> Result<()> {
    for round in 0..6 {
        // In the middle of gathering, and of writing.
        let every = if round % 2 == 0 { "100 milliseconds" } else { "1 hour" };
        rig.start(every)?;
        rig.append(round * 1_000 + 1, round * 1_000 + 1_000)?;
        rig.wait_for("events", |rig| Ok(rig.read_so_far()? == round * 1_000 + 1_000))?;
        rig.server = None;
    }
    rig.start("100 milliseconds")?;
    rig.expect_same(6_000)
}

/// A file stands where a folder is to be. Killed after some of the files have their names.
fn blocked(rig: &mut Rig) -> Result<()> {
    let lake = rig.case_folder().join("lake");
    fs::create_dir_all(&lake)?;
    fs::write(lake.join("part=3"), "")?;
    rig.start("1 second")?;
    rig.append(1, 1_000)?;
    let is_told = |rig: &mut Rig| {
        Ok(rig.sink()?["trouble"].as_str().is_some_and(|trouble| trouble.contains("cannot be written")))
    };
    rig.wait_for("the trouble to be told", is_told)?;
    rig.server = None;
    rig.append(1_001, 1_500)?;
    rig.start("1 second")?;
    rig.wait_for("the trouble to be told again", is_told)?;
    fs::remove_file(lake.join("part=3"))?;
    rig.expect_same(1_500)
}

fn once(rig: &mut Rig) -> Result<()> {
    rig.write_platform("1 hour")?;
    rig.append(1, 500)?;
    process::output_of(rig.up().arg("--once"), PATIENCE)?;
    rig.start("1 hour")?;
    rig.expect_same(500)
}

impl super::Rig for Rig {
    fn begin(&mut self) -> Result<()> {
        self.server = None;
        self.case += 1;
        Ok(fs::create_dir_all(self.case_folder())?)
    }

    fn log(&self) -> String {
        self.server.as_ref().map(Server::log).unwrap_or_default()
    }
}

impl Rig {
    fn case_folder(&self) -> PathBuf {
        self.folder.join(format!("case-{}", self.case))
    }

    /// `manade up`, over what is there.
    fn start(&mut self, every: &str) -> Result<()> {
        self.write_platform(every)?;
        let mut server = Server::spawn(self.up(), self.case_folder().join("log"))?;
        server.wait_for("/health/live")?;
        self.server = Some(server);
        Ok(())
    }

    fn write_platform(&self, every: &str) -> Result<()> {
        let text = format!(
            "apiVersion: manade.dev/v1alpha1\nkind: Pipeline\nmetadata: {{ name: events }}\nspec:\n  \
             source: {{ file: {{ path: events.ndjson, follow: {} }} }}\n  \
             events: {{ schema: {{ id: bigint, text: string, amount: 'decimal(10,2)', at: timestamp }} }}\n  results:\n    \
             - name: rows\n      sql: SELECT id, text, amount, at, id % 5 AS part FROM events\n      \
             sinks: [parquet: {{ path: lake, partitionBy: [part], every: {every}, size: 100 KiB }}]\n",
            // Only a file that ends can be read once.
            self.case != 4
        );
        Ok(fs::write(self.case_folder().join("platform.yaml"), text)?)
    }

    fn up(&self) -> Command {
        let folder = self.case_folder();
        let mut command = Command::new(&self.program);
        command.arg("up").arg(folder.join("platform.yaml")).arg("--data").arg(folder.join("data")).stdin(Stdio::null());
        command
    }

    /// Events with these numbers.
    fn append(&self, first: u64, last: u64) -> Result<()> {
        let mut lines = String::new();
        for id in first..=last {
            let micros = id % 1_000_000;
            let amount = if id % 7 == 0 { "null".to_owned() } else { format!("{}.25", id % 100) };
            writeln!(
                lines,
                r#"{{"id":{id},"text":"é {id}","amount":{amount},"at":"2026-01-31T23:59:59.{micros:06}Z"}}"#
            )?;
        }
        let file = OpenOptions::new().create(true).append(true).open(self.case_folder().join("events.ndjson"));
        Ok(file?.write_all(lines.as_bytes())?)
    }

    fn server(&self) -> Result<&Server> {
        self.server.as_ref().context("manade runs")
    }

    fn read_so_far(&self) -> Result<u64> {
        Ok(self.server()?.json("/api/v1/pipelines/events")?["read"].as_u64().unwrap_or_default())
    }

    fn sink(&self) -> Result<Value> {
        Ok(self.server()?.result("events", "rows")?["sinks"][0].clone())
    }

    /// What the API has.
    fn rows(&self) -> Result<Vec<String>> {
        let mut rows = self.server()?.rows("rows?select=id,text,amount,at,part&limit=100000")?;
        rows.sort();
        Ok(rows)
    }

    /// What an engine reads from the folder.
    fn read(&self, engine: &str) -> Result<Vec<String>> {
        let python = if engine == "spark" { &self.spark } else { &self.duckdb };
        let lake = self.case_folder().join("lake");
        read_with(python, &self.script, &lake, engine, &["id", "text", "amount", "at", "part"])
    }

    /// Once all events were read and told, DuckDB reads what the API has.
    fn expect_same(&mut self, events: u64) -> Result<()> {
        self.wait_for("all events", |rig| Ok(rig.read_so_far()? == events))?;
        self.wait_for("all rows to be in files", |rig| {
            let sink = rig.sink()?;
            Ok(sink["waiting"] == 0 && sink["trouble"].is_null())
        })?;
        let (here, there) = (self.rows()?, self.read("duckdb")?);
        ensure!(here.len() as u64 == events, "{} rows of {events} events", here.len());
        let missing = here.iter().filter(|row| there.binary_search(row).is_err()).count();
        ensure!(here == there, "{} rows here, {} in files, {missing} missing there", here.len(), there.len());
        Ok(())
    }

    fn wait_for(&mut self, what: &str, mut is_there: impl FnMut(&mut Self) -> Result<bool>) -> Result<()> {
        wait_for(self, what, &mut is_there, |rig| rig.sink().map(|sink| sink.to_string()).unwrap_or_default())
    }
}

/// Columns of a folder's rows, with commas between, sorted.
pub fn read_with(python: &Path, script: &Path, lake: &Path, engine: &str, columns: &[&str]) -> Result<Vec<String>> {
    let mut command = Command::new(python);
    command.arg(script).arg(engine).arg(lake).args(columns).stdin(Stdio::null());
    command.env("TZ", "UTC").env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(process::output_of(&mut command, PATIENCE)?.lines().map(str::to_owned).collect())
}
