//! What may be written on the command line.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use manade_model::units;

/// A real-time data platform from a folder of YAML: events in, SQL, results out.
#[derive(Debug, Parser)]
#[command(name = "manade", version, propagate_version = false, arg_required_else_help = true)]
#[command(after_help = "Try it: manade up examples/flights, then open http://127.0.0.1:8080/docs")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a platform: read its sources, keep its results, serve them over HTTP
    #[command(after_help = "Example: manade up examples/flights --listen 127.0.0.1:9000")]
    Up(Up),
    /// Report every problem of a platform's files; show its schemas and results where there is none
    #[command(after_help = "Example: manade check examples/flights")]
    Check(Check),
    /// Run the tests that stand in the platform's files
    #[command(after_help = "Example: manade test examples/flights \"a delayed flight counts as late\"")]
    Test(Test),
    /// Write a first pipeline, for the events of a file where one is named
    #[command(after_help = "Example: manade init weather --from measurements.ndjson")]
    Init(Init),
    /// Send made-up events, or those of a file, to a pipeline's own source
    #[command(after_help = GENERATE_EXAMPLES)]
    Generate(Generate),
    /// Show how far each pipeline is
    #[command(after_help = "Example: manade status --data examples/flights/.manade")]
    Status(Status),
    /// Read a collection's rows; list the collections where none is named
    #[command(after_help = DATA_EXAMPLES)]
    Data(Data),
    /// Delete a pipeline's stored rows and progress, or one result's, so that it starts anew
    #[command(after_help = "Example: manade reset flights hourly --data examples/flights/.manade")]
    Reset(Reset),
    /// Look at the events that could not be processed, try them again, drop them
    #[command(after_help = "Example: manade dead-letters list --stage decode")]
    DeadLetters(DeadLetters),
    /// Print the JSON Schema of pipeline files, for editors
    #[command(after_help = "Example: manade schema > pipeline.schema.json")]
    Schema,
    /// List the functions that SQL may call
    #[command(after_help = "Example: manade functions | grep percentile")]
    Functions(Functions),
    /// Print the OpenAPI document of a platform without running it
    #[command(after_help = "Example: manade openapi examples/flights > openapi.json")]
    Openapi(Openapi),
    /// Print what makes a shell complete manade's commands
    #[command(after_help = "Example: manade completions bash > ~/.local/share/bash-completion/completions/manade")]
    Completions(Completions),
}

const GENERATE_EXAMPLES: &str = "\
Examples:
  manade generate clicks --rate 5000
  manade generate clicks shop --count 1000000 --rate max --late 0.01 --ragged 0.001
  manade generate clicks shop --from yesterday.ndjson.gz --speed 60

Where the source takes files, they are written; events over HTTP go to the `manade up` that runs; messages to the broker.";

const DATA_EXAMPLES: &str = "\
Examples:
  manade data
  manade data hourly --where origin=eq.JFK --order hour.desc --limit 5
  manade data hourly -o parquet > hourly.parquet
  manade data backup /var/backups/manade-2026-11-21

Filters are PostgREST's: COLUMN=OPERATOR.VALUE with eq, neq, gt, gte, lt, lte, like, ilike, match, in, is and others.";

#[derive(Debug, Args)]
pub struct Up {
    /// The platform: a folder of YAML files, or one file
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// Where state and rows are kept [default: .manade in the platform's folder]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address of the HTTP server [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen: Option<SocketAddr>,
    /// Allow an address that other machines can reach: there is no TLS and no login yet
    #[arg(long)]
    pub insecure: bool,
    /// Read what is there, commit, and exit; HTTP is served meanwhile only where --listen is given
    #[arg(long)]
    pub once: bool,
    /// With --once: exit with 1 where there are dead letters
    #[arg(long, requires = "once")]
    pub strict: bool,
    /// Memory for state, like 2 GiB [default: a quarter of the machine's]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory: Option<u64>,
    /// Threads that read and aggregate events [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub workers: Option<usize>,
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub limits: Limits,
}

#[derive(Debug, Args)]
pub struct Log {
    /// How log lines are written to stderr
    #[arg(long = "log", value_name = "FORMAT", default_value = "text")]
    pub format: LogFormat,
    /// The least important messages that are logged
    #[arg(long = "log-level", value_name = "LEVEL", default_value = "info")]
    pub level: LogLevel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// What one client may ask of the server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits of the HTTP server")]
pub struct Limits {
    /// Accepted events that may wait for their pipeline; more are answered with 503
    #[arg(long, value_name = "EVENTS", default_value_t = 10_000_000)]
    pub max_backlog: u64,
    /// Largest body of a request, as it comes
    #[arg(long, value_name = "SIZE", default_value = "64 MiB", value_parser = size)]
    pub max_body: u64,
    /// Largest body of a request, unpacked
    #[arg(long, value_name = "SIZE", default_value = "256 MiB", value_parser = size)]
    pub max_unpacked: u64,
    /// Longest request line and headers
    #[arg(long, value_name = "SIZE", default_value = "32 KiB", value_parser = size)]
    pub max_headers: u64,
    /// Connections at one time; further ones wait
    #[arg(long, value_name = "N", default_value = "1024", value_parser = at_least_one)]
    pub max_connections: usize,
    /// Queries at one time; further ones wait
    #[arg(long, value_name = "N", default_value = "32", value_parser = at_least_one)]
    pub max_queries: usize,
    /// Memory for the sorts of all queries together
    #[arg(long, value_name = "SIZE", default_value = "256 MiB", value_parser = size)]
    pub query_memory: u64,
    /// How long a client may keep a request or an answer standing still
    #[arg(long, value_name = "TIME", default_value = "30 seconds", value_parser = duration)]
    pub client_timeout: Duration,
    /// Origin whose pages may call the API from a browser, or * for all; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    pub cors: Vec<String>,
    /// Host name, beside localhost, under which a server on loopback is called; may be repeated
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Check {
    /// The platform: a folder of YAML files, or one file
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// Where an inferred schema may have been fixed [default: .manade in the platform's folder]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Reach every connection too, and the queues that pipelines read
    #[arg(long)]
    pub connect: bool,
}

#[derive(Debug, Args)]
pub struct Test {
    /// The platform: a folder of YAML files, or one file
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// Only tests whose name contains one of these
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Init {
    /// The platform's folder, made where it is missing
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// File of events to look at: .ndjson, .json or .csv, also .gz and .zst
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// The pipeline's name [default: the file's, else events]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct Generate {
    pub pipeline: String,
    /// The platform: a folder of YAML files, or one file
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// Events a second, or max for as many as are taken
    #[arg(long, value_name = "N", default_value = "1000", value_parser = rate)]
    pub rate: Rate,
    /// Stop after so many events
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Send the events of this file instead: NDJSON, also .gz and .zst
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Send them as their event times come, so many times as fast
    #[arg(long, value_name = "X", requires = "from", conflicts_with = "rate", value_parser = positive)]
    pub speed: Option<f64>,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub shape: Shape,
}

/// What made-up events are like.
#[derive(Debug, Args)]
#[command(next_help_heading = "Made-up events")]
pub struct Shape {
    /// The same events again, ids too [default: others each time]
    #[arg(long, value_name = "N", conflicts_with = "from")]
    pub seed: Option<u64>,
    /// Different values of a text or whole number; the first is the most frequent
    #[arg(long, value_name = "N", default_value = "1000", value_parser = at_least_one, conflicts_with = "from")]
    pub keys: usize,
    /// Share that is too late, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share, conflicts_with = "from")]
    pub late: f64,
    /// Share with a field that is missing, null, of another type or unknown, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share, conflicts_with = "from")]
    pub ragged: f64,
}

/// How fast events are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    EventsPerSecond(f64),
    Max,
}

/// Which platform a command is about.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// The platform's data folder [default: .manade]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address of a running `manade up` [default: the environment's MANADE_URL, else the one that uses the data folder]
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    pub url: Option<String>,
}

#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    pub target: Target,
    /// How it is printed
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: ListFormat,
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    Table,
    Json,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Data {
    #[command(subcommand)]
    pub action: Option<DataAction>,
    #[command(flatten)]
    pub query: Query,
}

#[derive(Debug, Args)]
pub struct Query {
    /// The collection; without it, the collections are listed
    pub collection: Option<String>,
    /// Filter, like origin=eq.JFK or or=(delay.gt.60,origin.eq.JFK); all of several must hold
    #[arg(long = "where", value_name = "FILTER", requires = "collection")]
    pub filters: Vec<String>,
    /// Columns to sort by, like hour.desc or origin,delay.desc.nullslast
    #[arg(long, value_name = "COLUMNS", requires = "collection")]
    pub order: Vec<String>,
    /// Columns to show, like origin,flights or departures:flights
    #[arg(long, value_name = "COLUMNS", requires = "collection")]
    pub select: Vec<String>,
    /// Most rows to show [default: 1000 for table and json, all for the others]
    #[arg(long, value_name = "N", requires = "collection")]
    pub limit: Option<u64>,
    /// Rows to leave out at the beginning
    #[arg(long, value_name = "N", requires = "collection")]
    pub offset: Option<u64>,
    /// Print the rows again whenever they change, until Ctrl-C
    #[arg(long, requires = "collection")]
    pub watch: bool,
    /// How rows are printed
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: RowFormat,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowFormat {
    Table,
    Json,
    Ndjson,
    Csv,
    Parquet,
}

#[derive(Debug, Subcommand)]
pub enum DataAction {
    /// Delete the rows of a collection whose result is no longer in the platform
    #[command(after_help = "Example: manade data drop delays_by_city --yes")]
    Drop(DataDrop),
    /// Copy the data folder, consistently, also while `manade up` runs
    #[command(after_help = "Example: manade data backup /var/backups/manade-2026-11-21")]
    Backup(DataBackup),
}

#[derive(Debug, Args)]
pub struct DataDrop {
    pub collection: String,
    /// Whose, where several pipelines have a collection of this name
    #[arg(long, value_name = "NAME")]
    pub pipeline: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub struct DataBackup {
    /// A new or empty folder
    pub to: PathBuf,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub struct Reset {
    pub pipeline: String,
    /// Only this result; without it, everything that was made of the pipeline's events
    pub result: Option<String>,
    /// Delete the accepted events of an http source too, which are kept otherwise
    #[arg(long, conflicts_with = "result")]
    pub events: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// The platform's data folder
    #[arg(long, value_name = "DIR", default_value = ".manade")]
    pub data: PathBuf,
}

#[derive(Debug, Args)]
pub struct DeadLetters {
    #[command(subcommand)]
    pub action: DeadLetterAction,
}

#[derive(Debug, Subcommand)]
pub enum DeadLetterAction {
    /// List dead letters: where they come from, and why they could not be processed
    #[command(after_help = "Example: manade dead-letters list flights --reason \"not an int\"")]
    List(DeadLetterList),
    /// Show one with its event
    #[command(after_help = "Example: manade dead-letters show 17 flights")]
    Show(DeadLetterShow),
    /// Process them again, under the present schema and SQL; one that fails again stays
    #[command(after_help = "Example: manade dead-letters replay flights --stage decode")]
    Replay(DeadLetterReplay),
    /// Delete them
    #[command(after_help = "Example: manade dead-letters drop flights --id 17 --id 18")]
    Drop(DeadLetterDrop),
}

/// Which dead letters; all must match.
#[derive(Debug, Clone, Args)]
pub struct Filter {
    /// Where they failed
    #[arg(long)]
    pub stage: Option<Stage>,
    /// Text that the reason contains
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// The result whose SQL or window they failed in
    #[arg(long, value_name = "NAME")]
    pub result: Option<String>,
    /// Only this one; may be repeated
    #[arg(long = "id", value_name = "ID")]
    pub ids: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    Decode,
    Time,
    Sql,
    Late,
    Sink,
}

#[derive(Debug, Args)]
pub struct DeadLetterList {
    /// The pipeline [default: all]
    pub pipeline: Option<String>,
    #[command(flatten)]
    pub filter: Filter,
    /// Most to show
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// How they are printed
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: ListFormat,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub struct DeadLetterShow {
    pub id: u64,
    /// The pipeline; may be left out where there is only one
    pub pipeline: Option<String>,
    /// How it is printed
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: ListFormat,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub struct DeadLetterReplay {
    /// The pipeline; may be left out where there is only one
    pub pipeline: Option<String>,
    #[command(flatten)]
    pub filter: Filter,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub struct DeadLetterDrop {
    /// The pipeline; may be left out where there is only one
    pub pipeline: Option<String>,
    #[command(flatten)]
    pub filter: Filter,
    /// Do not ask before all of them are deleted
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Debug, Args)]
pub struct Functions {
    /// How they are printed
    #[arg(short, long, value_name = "FORMAT", default_value = "markdown")]
    pub output: FunctionFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FunctionFormat {
    Markdown,
    Json,
}

#[derive(Debug, Args)]
pub struct Openapi {
    /// The platform: a folder of YAML files, or one file
    #[arg(default_value = ".")]
    pub path: PathBuf,
}

#[derive(Debug, Args)]
pub struct Completions {
    pub shell: Shell,
}

/// `HOST:PORT`; a port alone is one of this machine.
fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    let text = if port.parse::<u16>().is_ok() { format!("127.0.0.1:{port}") } else { text.to_owned() };
    let found: Vec<SocketAddr> =
        text.to_socket_addrs().map_err(|_| "write HOST:PORT, like 127.0.0.1:9000".to_owned())?.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| format!("{text} has no address"))
}

fn size(text: &str) -> Result<u64, String> {
    match units::parse_size(text) {
        Ok(0) => Err("it must be more than 0".to_owned()),
        parsed => parsed.map_err(worded),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match units::parse_duration(text) {
        Ok(Duration::ZERO) => Err("it must be more than 0".to_owned()),
        parsed => parsed.map_err(worded),
    }
}

fn worded(error: units::UnitError) -> String {
    match error.hint {
        Some(hint) => format!("{}; {hint}", error.message),
        None => error.message,
    }
}

fn rate(text: &str) -> Result<Rate, String> {
    match text {
        "max" => Ok(Rate::Max),
        _ => positive(text).map(Rate::EventsPerSecond).map_err(|_| "write events a second, or max".to_owned()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "it must be a number above 0".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "it must be a number from 0 to 1, like 0.01".to_owned())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "it must be a whole number from 1".to_owned())
}
