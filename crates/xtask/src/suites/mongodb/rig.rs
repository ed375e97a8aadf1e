//! A server, `manade up` that writes to it, and clients of both.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process;
use crate::server::{Server, lasting_port};
use crate::services::{self, MONGODB, Place, Running};
use crate::suites::{self, PATIENCE, certificates, secrets, wait_for};
use crate::tools::Tools;
use crate::workspace::Workspace;

pub const USER: &str = "tester";
pub const PASSWORD: &str = "hunter2-is-secret";

/// FerretDB needs a tenth of a second for each document of a command that is updated, and finds it by its `_id` only where that
/// is text.
const FEW: &str = "concat('key ', id % 60)";

pub struct Rig {
    program: PathBuf,
    script: PathBuf,
    python: PathBuf,
    folder: PathBuf,
    place: Place,
    server: Option<Running>,
    tls_port: u16,
    /// How `manade` is told to reach the server: lines below `mongodb:`.
    connection: String,
    manade: Option<Server>,
    /// Of the pipeline from the next start on.
    pub has_sinks: bool,
    /// Of the result `each`, from the next start on: what its rows are told apart by, and how many are kept.
    pub key: &'static str,
    pub retain: &'static str,
    /// Counts the cases: each has a database and a data folder of its own.
    case: u32,
}

impl Rig {
    pub fn new(workspace: &Workspace, tools: &Tools) -> Result<Self> {
        let folder = workspace.scratch("mongodb")?;
        let port = lasting_port(0)?;
        let tls_port = lasting_port(port)?;
        let keys = folder.join("keys");
        certificates::make(&keys)?;
        let keys = keys.display();
        let settings = format!(
            "--test-enable-new-auth=true\n--setup-username={USER}\n--setup-password={PASSWORD}\n--setup-database=admin\n\
             --listen-tls=127.0.0.1:{tls_port}\n--listen-tls-cert-file={keys}/server.pem\n\
             --listen-tls-key-file={keys}/server.key\n--listen-tls-ca-file={keys}/ca.pem"
        );
        let place = Place { folder: folder.join("server"), port, settings };
        let mut rig = Self {
            program: workspace.manade(),
            script: workspace.root.join("tests/mongodb/dump.py"),
            python: tools.pip_program("pymongo", "python"),
            folder,
            place,
            server: None,
            tls_port,
            connection: String::new(),
            manade: None,
            has_sinks: true,
            key: FEW,
            retain: "",
            case: 0,
        };
        rig.start_server()?;
        Ok(rig)
    }

    pub fn password_file(&self) -> PathBuf {
        self.case_folder().join("password")
    }

    fn case_folder(&self) -> PathBuf {
        self.folder.join(format!("case-{}", self.case))
    }

    fn database(&self) -> String {
        format!("case{}", self.case)
    }

    pub fn server_port(&self) -> u16 {
        self.place.port
    }

    /// The port that stands in the platform's file from the next start on.
    pub fn server_seen_at(&mut self, port: u16) {
        self.connection = format!("url: mongodb://{USER}@127.0.0.1:{port}\n    password: {{ file: password }}");
    }

    /// The server is reached over TLS from the next start on, with a certificate of ours.
    pub fn with_tls(&mut self) {
        self.server_seen_at(self.tls_port);
        self.connection = format!("{}\n    {}", self.connection, certificates::OURS);
    }

    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// A file beside the platform's.
    pub fn read(&self, name: &str) -> Result<String> {
        Ok(fs::read_to_string(self.case_folder().join(name))?)
    }

    /// What `manade check --connect` says of a connection.
    pub fn check_connect(&self, connection: &str) -> Result<String> {
        let file = self.case_folder().join("check.yaml");
        fs::write(&file, self.platform(connection))?;
        let mut command = Command::new(&self.program);
        command.arg("check").arg(&file).arg("--connect").stdin(Stdio::null());
        Ok(process::run(&mut command, PATIENCE)?.output)
    }

    /// `manade up`, over what is there.
    pub fn start(&mut self) -> Result<()> {
        let folder = self.case_folder();
        fs::write(folder.join("platform.yaml"), self.platform(&self.connection))?;
        let mut command = Command::new(&self.program);
        command.arg("up").arg(folder.join("platform.yaml")).arg("--data").arg(folder.join("data")).stdin(Stdio::null());
        let mut manade = Server::spawn(command, folder.join("log"))?;
        manade.wait_for("/health/live")?;
        self.manade = Some(manade);
        Ok(())
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        self.manade = None;
    }

    pub fn start_server(&mut self) -> Result<()> {
        self.server = Some(services::start(&MONGODB, &self.place)?);
        Ok(())
    }

    pub fn kill_server(&mut self) -> Result<()> {
        self.server.take().context("the server runs")?.kill()
    }

    pub fn freeze_server(&self) -> Result<()> {
        self.server.as_ref().context("the server runs")?.freeze()
    }

    pub fn thaw_server(&self) -> Result<()> {
        self.server.as_ref().context("the server runs")?.thaw()
    }

    /// Events with these numbers.
    pub fn append(&self, first: u64, last: u64) -> Result<()> {
        self.append_some(first, last, u64::MAX, "")
    }

    /// Each `every`th has these fields too, in place of the tags that others have.
    pub fn append_some(&self, first: u64, last: u64, every: u64, fields: &str) -> Result<()> {
        let mut lines = String::new();
        for id in first..=last {
            let fields = if id.is_multiple_of(every) { fields } else { r#""tags":{"plain":"a"}"# };
            writeln!(lines, r#"{{"id":{id},"text":"event {id}",{fields}}}"#)?;
        }
        let file = self.case_folder().join("events.ndjson");
        OpenOptions::new().create(true).append(true).open(file)?.write_all(lines.as_bytes())?;
        Ok(())
    }

    pub fn status(&self) -> Result<Value> {
        self.get("/api/v1/pipelines/events")
    }

    /// The status of a result.
    pub fn result(&self, name: &str) -> Result<Value> {
        self.manade()?.result("events", name)
    }

    /// The status of a result's sink.
    pub fn sink(&self, result: &str) -> Result<Value> {
        Ok(self.result(result)?["sinks"][0].clone())
    }

    pub fn get(&self, path: &str) -> Result<Value> {
        self.manade()?.json(path)
    }

    fn manade(&self) -> Result<&Server> {
        self.manade.as_ref().context("manade runs")
    }

    /// Rows of a collection here, values with commas between, sorted.
    fn rows(&self, collection: &str, columns: &[&str]) -> Result<Vec<String>> {
        let mut rows = self.manade()?.rows(&format!("{collection}?select={}&limit=100000", columns.join(",")))?;
        rows.sort();
        Ok(rows)
    }

    /// Documents of the collection there, in the same way.
    pub fn documents(&self, collection: &str, fields: &[&str]) -> Result<Vec<String>> {
        let url = format!("mongodb://{USER}:{PASSWORD}@127.0.0.1:{}/", self.place.port);
        let mut command = Command::new(&self.python);
        command.arg(&self.script).args([&url, &self.database(), collection]).args(fields).stdin(Stdio::null());
        let printed = process::output_of(&mut command, PATIENCE)?;
        Ok(printed.lines().map(str::to_owned).collect())
    }

    /// Once all events were read and told, each collection there is the one here.
    pub fn expect_same(&mut self, events: u64) -> Result<()> {
        self.wait_for("all events", |rig| Ok(rig.status()?["read"] == events))?;
        let is_told = |rig: &Self, result: &str| {
            let sink = rig.sink(result)?;
            Ok::<_, anyhow::Error>(sink["waiting"] == 0 && sink["trouble"].is_null())
        };
        self.wait_for("all rows to be written", |rig| {
            Ok(is_told(rig, "each")? && is_told(rig, "slots")? && is_told(rig, "rows")?)
        })?;
        for (result, columns) in
            [("each", &["id", "n"][..]), ("slots", &["slot", "kind", "n", "last"]), ("rows", &["id", "text"])]
        {
            let (here, there) = (self.rows(result, columns)?, self.documents(result, columns)?);
            let missing = here.iter().filter(|row| there.binary_search(row).is_err()).count();
            let other = there.iter().filter(|row| here.binary_search(row).is_err()).count();
            ensure!(
                here == there,
                "{result}: {} rows here, {} there, {missing} missing there, {other} others",
                here.len(),
                there.len()
            );
        }
        self.expect_no_secrets(&[PASSWORD])
    }

    /// These texts are in nothing that Manade shows or keeps.
    pub fn expect_no_secrets(&self, secrets: &[&str]) -> Result<()> {
        secrets::expect_none(self.manade()?, "events", &self.case_folder().join("data"), secrets)
    }

    pub fn wait_for(&mut self, what: &str, mut is_there: impl FnMut(&mut Self) -> Result<bool>) -> Result<()> {
        wait_for(self, what, &mut is_there, |rig| rig.status().map(|status| status.to_string()).unwrap_or_default())
    }

    /// The file of a pipeline with results of every kind.
    fn platform(&self, connection: &str) -> String {
        let database = self.database();
        let sinks = |collection: &str| {
            let sink = format!("mongodb: {{ connection: store, database: {database}, collection: {collection} }}");
            if self.has_sinks { format!("sinks: [collection, {sink}]") } else { String::new() }
        };
        format!(
            "apiVersion: manade.dev/v1alpha1\nkind: Connection\nmetadata: {{ name: store }}\nspec:\n  mongodb:\n    \
             {connection}\n---\napiVersion: manade.dev/v1alpha1\nkind: Pipeline\nmetadata: {{ name: events }}\nspec:\n  \
             source: {{ file: {{ path: events.ndjson, follow: true }} }}\n  \
             events: {{ schema: {{ id: bigint, text: string, tags: 'map<string,string>', amount: 'decimal(10,2)' }} }}\n  results:\n    \
             - name: each\n      sql: SELECT {} AS id, count(*) AS n FROM events GROUP BY {0}\n      {}\n      {}\n    \
             - name: slots\n      sql: >-\n        SELECT id % 50 AS slot, id % 2 = 0 AS kind, count(*) AS n, max(id) AS last \
             FROM events GROUP BY id % 50, id % 2 = 0\n      {}\n    \
             - name: rows\n      sql: SELECT id, text, tags, amount FROM events\n      {}\n",
            self.key,
            self.retain,
            sinks("each"),
            sinks("slots"),
            sinks("rows")
        )
    }
}

impl suites::Rig for Rig {
    fn begin(&mut self) -> Result<()> {
        self.manade = None;
        self.case += 1;
        (self.has_sinks, self.key, self.retain) = (true, FEW, "");
        self.server_seen_at(self.place.port);
        if self.server.is_none() {
            self.start_server()?;
        }
        fs::create_dir_all(self.case_folder())?;
        fs::write(self.password_file(), PASSWORD)?;
        certificates::give(&self.folder.join("keys"), &self.case_folder())
    }

    fn log(&self) -> String {
        self.manade.as_ref().map(Server::log).unwrap_or_default()
    }
}
