//! A broker, `manade up` over it, and clients of both.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process;
use crate::server::{Server, lasting_port};
use crate::services::{self, Place, RABBITMQ, Running};
use crate::suites::{self, PATIENCE, certificates, secrets, wait_for};
use crate::tools::Tools;
use crate::workspace::Workspace;

pub const USER: &str = "tester";
pub const PASSWORD: &str = "hunter2-is-secret";

const QUORUM: &str = "declare: { type: quorum }, ";

pub struct Rig {
    program: PathBuf,
    scripts: PathBuf,
    python: PathBuf,
    folder: PathBuf,
    place: Place,
    broker: Option<Running>,
    tls_port: u16,
    /// How `manade` is told to reach the broker: lines below `rabbitmq:`.
    connection: String,
    server: Option<Server>,
    /// What tells messages apart, if anything does, from the next start on.
    pub id: &'static str,
    /// How the queue is created where there is none, from the next start on.
    pub declare: &'static str,
    /// No file may become longer than so many KiB, from the next start on.
    pub file_limit: Option<u32>,
    /// Counts the cases: each has a queue and a data folder of its own.
    case: u32,
}

/// A publisher at work.
pub struct Publisher(Child);

impl Rig {
    pub fn new(workspace: &Workspace, tools: &Tools) -> Result<Self> {
        let folder = workspace.scratch("rabbitmq")?;
        let port = lasting_port(0)?;
        let tls_port = lasting_port(port)?;
        let keys = folder.join("keys");
        certificates::make(&keys)?;
        let keys = keys.display();
        let settings = format!(
            "listeners.ssl.1 = 127.0.0.1:{tls_port}\nssl_options.cacertfile = {keys}/ca.pem\n\
             ssl_options.certfile = {keys}/server.pem\nssl_options.keyfile = {keys}/server.key\n\
             ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n"
        );
        let place = Place { folder: folder.join("broker"), port, settings };
        let mut rig = Self {
            program: workspace.manade(),
            scripts: workspace.root.join("tests/rabbitmq"),
            python: tools.pip_program("pika", "python"),
            folder,
            place,
            broker: None,
            tls_port,
            connection: String::new(),
            server: None,
            id: "message-id",
            declare: QUORUM,
            file_limit: None,
            case: 0,
        };
        rig.start_broker()?;
        rig.control(&["add_user", USER, PASSWORD])?;
        rig.control(&["set_permissions", USER, ".*", ".*", ".*"])?;
        Ok(rig)
    }

    pub fn queue(&self) -> String {
        format!("events-{}", self.case)
    }

    /// Of the case's sinks.
    pub fn exchange(&self) -> String {
        format!("alerts-{}", self.case)
    }

    pub fn password_file(&self) -> PathBuf {
        self.case_folder().join("password")
    }

    pub fn case_folder(&self) -> PathBuf {
        self.folder.join(format!("case-{}", self.case))
    }

    pub fn broker_port(&self) -> u16 {
        self.place.port
    }

    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// The port that stands in the platform's file from the next start on.
    pub fn broker_seen_at(&mut self, port: u16) {
        self.connection = format!("url: amqp://{USER}@127.0.0.1:{port}/%2f\n    password: {{ file: password }}\n");
    }

    /// The broker is reached over TLS from the next start on, with a certificate of ours.
    pub fn with_tls(&mut self) {
        self.connection = format!(
            "url: amqps://{USER}@127.0.0.1:{}/%2f\n    password: {{ file: password }}\n    {}\n",
            self.tls_port,
            certificates::OURS
        );
    }

    /// A file beside the platform's.
    pub fn read(&self, name: &str) -> Result<String> {
        Ok(fs::read_to_string(self.case_folder().join(name))?)
    }

    /// What `manade check --connect` says of a connection, a source and a result's sinks.
    pub fn check_connect(&self, connection: &str, source: &str, sinks: &str) -> Result<String> {
        let file = self.case_folder().join("check.yaml");
        let result = format!("    - {{ name: rows, sql: SELECT id FROM events, sinks: {sinks} }}\n");
        fs::write(&file, platform(connection, source, &result))?;
        let mut command = Command::new(&self.program);
        command.arg("check").arg(&file).arg("--connect").stdin(Stdio::null());
        Ok(process::run(&mut command, PATIENCE)?.output)
    }

    /// What `manade generate` says, for the platform that runs.
    pub fn generate(&self, arguments: &[&str]) -> Result<String> {
        let folder = self.case_folder();
        let mut command = Command::new(&self.program);
        command.args(["generate", "events"]).arg(folder.join("platform.yaml")).arg("--data").arg(folder.join("data"));
        process::output_of(command.args(arguments).stdin(Stdio::null()), PATIENCE)
    }

    /// `manade up`, over what is there.
    pub fn start(&mut self) -> Result<()> {
        let (queue, id, declare) = (self.queue(), self.id, self.declare);
        let id = if id.is_empty() { String::new() } else { format!("id: {id}, ") };
        let source = format!("rabbitmq: {{ connection: broker, queue: {queue}, {declare}{id}prefetch: 500 }}");
        self.start_platform(&self.platform(&source, COUNTS))
    }

    /// The file of a pipeline with a source and these results.
    pub fn platform(&self, source: &str, results: &str) -> String {
        platform(&self.connection, source, results)
    }

    /// `manade up` with this file, over what is there.
    pub fn start_platform(&mut self, text: &str) -> Result<()> {
        let folder = self.case_folder();
        fs::write(folder.join("platform.yaml"), text)?;
        let mut command = self.program();
        command.arg("up").arg(folder.join("platform.yaml")).arg("--data").arg(folder.join("data")).stdin(Stdio::null());
        let mut server = Server::spawn(command, folder.join("log"))?;
        // It is ready only once the broker is.
        server.wait_for("/health/live")?;
        self.server = Some(server);
        Ok(())
    }

    /// And waits until the queue is there and is read.
    pub fn start_reading(&mut self) -> Result<()> {
        self.start()?;
        self.wait_for("reading", |rig| Ok(rig.status()?["feed"]["ready"].is_u64()))
    }

    /// Writing beyond the limit is an error, as on a full disk, and not the end.
    fn program(&self) -> Command {
        let Some(kilobytes) = self.file_limit else { return Command::new(&self.program) };
        let mut command = Command::new("bash");
        let limited = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" \"$@\"");
        command.arg("-c").arg(limited).arg(&self.program);
        command
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        self.server = None;
    }

    pub fn start_broker(&mut self) -> Result<()> {
        self.broker = Some(services::start(&RABBITMQ, &self.place)?);
        Ok(())
    }

    pub fn kill_broker(&mut self) -> Result<()> {
        self.broker.take().context("the broker runs")?.kill()
    }

    pub fn freeze_broker(&self) -> Result<()> {
        self.broker.as_ref().context("the broker runs")?.freeze()
    }

    pub fn thaw_broker(&self) -> Result<()> {
        self.broker.as_ref().context("the broker runs")?.thaw()
    }

    pub fn delete_queue(&self) -> Result<()> {
        self.control(&["delete_queue", &self.queue()]).map(|_| ())
    }

    /// Messages in the queue, acknowledged ones left out.
    pub fn messages(&self) -> Result<u64> {
        let queues = self.control(&["list_queues", "name", "messages"])?;
        let line = queues.lines().find_map(|line| line.strip_prefix(&format!("{}\t", self.queue())));
        line.and_then(|messages| messages.trim().parse().ok()).context("the queue is not there")
    }

    pub fn control(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("/usr/lib/rabbitmq/bin/rabbitmqctl");
        command.env("HOME", &self.place.folder).args(["-q", "-n", &format!("manade-{}@localhost", self.place.port)]);
        process::output_of(command.args(arguments).stdin(Stdio::null()), PATIENCE)
    }

    /// Runs one of the scripts to its end.
    pub fn python(&self, script: &str, arguments: &[&str]) -> Result<()> {
        let mut command = self.script(script);
        process::output_of(command.args(arguments).stdin(Stdio::null()), PATIENCE).map(|_| ())
    }

    /// Publishes events with these numbers while other things happen.
    pub fn publish(&self, first: u64, last: u64) -> Result<Publisher> {
        let log = File::create(self.case_folder().join("publisher"))?;
        let mut command = self.script("publish.py");
        command.args([first.to_string(), last.to_string()]).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Publisher(command.spawn()?))
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        let url = format!("amqp://{USER}:{PASSWORD}@127.0.0.1:{}/%2f", self.place.port);
        command.arg(self.scripts.join(name)).args([url, self.queue()]).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    pub fn status(&self) -> Result<Value> {
        self.manade()?.json("/api/v1/pipelines/events")
    }

    /// The status of a result.
    pub fn result(&self, name: &str) -> Result<Value> {
        self.manade()?.result("events", name)
    }

    /// The status of a result's sink.
    pub fn sink(&self, result: &str) -> Result<Value> {
        Ok(self.result(result)?["sinks"][0].clone())
    }

    /// Takes the messages out of the queue; those that have been taken out so far.
    pub fn collect(&self) -> Result<Vec<Value>> {
        let file = self.case_folder().join("collected");
        self.python("collect.py", &[&file.display().to_string()])?;
        fs::read_to_string(file)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    fn manade(&self) -> Result<&Server> {
        self.server.as_ref().context("manade runs")
    }

    /// Rows of a collection, values with commas between, null as nothing.
    pub fn rows(&self, query: &str) -> Result<Vec<String>> {
        self.manade()?.rows(query)
    }

    /// Events that are counted.
    pub fn events(&self) -> Result<u64> {
        Ok(self.rows("total?select=events")?.first().and_then(|events| events.parse().ok()).unwrap_or(0))
    }

    /// Every event from 1 to `last` once, none waiting in the queue.
    pub fn expect_each(&mut self, last: u64) -> Result<()> {
        self.expect_events(last)?;
        self.wait_for("the queue to be empty", |rig| Ok(rig.messages()? == 0))?;
        self.expect_events(last)
    }

    /// Every event from 1 to `last` once.
    pub fn expect_events(&mut self, last: u64) -> Result<()> {
        self.wait_for("all events", |rig| Ok(rig.rows("total?select=ids")? == [last.to_string()]))?;
        let doubled = self.rows("each?n=gt.1&limit=5")?;
        ensure!(doubled.is_empty(), "doubled: {doubled:?}");
        let total = self.rows("total?select=events,ids")?;
        ensure!(total == [format!("{last},{last}")], "events and ids: {total:?}");
        self.expect_no_secrets(&[PASSWORD])
    }

    /// These texts are in nothing that Manade shows or keeps.
    pub fn expect_no_secrets(&self, secrets: &[&str]) -> Result<()> {
        secrets::expect_none(self.manade()?, "events", &self.case_folder().join("data"), secrets)
    }

    pub fn wait_for(&mut self, what: &str, mut is_there: impl FnMut(&mut Self) -> Result<bool>) -> Result<()> {
        wait_for(self, what, &mut is_there, |rig| rig.status().map(|status| status.to_string()).unwrap_or_default())
    }
}

impl suites::Rig for Rig {
    fn begin(&mut self) -> Result<()> {
        self.server = None;
        self.case += 1;
        (self.id, self.declare, self.file_limit) = ("message-id", QUORUM, None);
        self.broker_seen_at(self.place.port);
        if self.broker.is_none() {
            self.start_broker()?;
        }
        let folder = self.case_folder();
        fs::create_dir_all(&folder)?;
        fs::write(self.password_file(), PASSWORD)?;
        certificates::give(&self.folder.join("keys"), &folder)
    }

    fn log(&self) -> String {
        self.server.as_ref().map(Server::log).unwrap_or_default()
    }
}

/// Results that count events by their number.
const COUNTS: &str = "    \
    - { name: each, sql: 'SELECT id, count(*) AS n FROM events GROUP BY id' }
    - { name: total, sql: 'SELECT count(*) AS events, count(DISTINCT id) AS ids FROM events' }
    - name: meta
      sql: >-
        SELECT _meta['message_id'] AS message_id, _meta['header.tenant'] AS tenant,
        _meta['header.attempt'] AS attempt, _meta['header.list'] AS list, _meta['timestamp'] AS at,
        _meta['type'] AS kind, _meta['routing_key'] AS routing_key FROM events
";

fn platform(connection: &str, source: &str, results: &str) -> String {
    format!(
        "apiVersion: manade.dev/v1alpha1\nkind: Connection\nmetadata: {{ name: broker }}\nspec:\n  rabbitmq:\n    \
         {connection}---\napiVersion: manade.dev/v1alpha1\nkind: Pipeline\nmetadata: {{ name: events }}\nspec:\n  source:\n    \
         {source}\n  events: {{ schema: {{ id: bigint, text: string }} }}\n  results:\n{results}"
    )
}

impl Publisher {
    /// Until it has published all.
    pub fn wait(mut self) -> Result<()> {
        let status = process::wait(&mut self.0, PATIENCE * 3)?.context("the publisher does not end")?;
        ensure!(status.success(), "the publisher ended with {status}");
        Ok(())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
