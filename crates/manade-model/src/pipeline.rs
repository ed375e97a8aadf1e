//! The validated platform: what a folder of YAML means.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::connection::{Connection, MongoDb, RabbitMq};
use crate::finding::Place;
use crate::types::{Field, SparkType};

/// All resources of one folder.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Platform {
    pub connections: Vec<Connection>,
    pub pipelines: Vec<Pipeline>,
}

/// A resource's or a result's name: `[a-z][a-z0-9_-]*`, 63 characters at most.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

/// One source, one or more results.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    pub name: Name,
    pub source: Source,
    pub events: Events,
    pub tables: Vec<Table>,
    /// In file order: a result may read those before it.
    pub results: Vec<ResultSpec>,
    pub tests: Vec<PipelineTest>,
    /// Time patterns of the schemas of events and tables, and where each stands, for who compiles them.
    pub patterns: Vec<(String, Place)>,
    /// Of `metadata.name`.
    pub place: Place,
}

/// A pipeline with errors, as far as its SQL can still be judged, so that all problems are reported at once. It is not
/// to be run: what was wrong in it is left out, or has its default or a stand-in.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub pipeline: Pipeline,
    pub unread: Unread,
}

/// What SQL may name and what is wrong itself: of a query that names it nothing can be said but whether it is SQL.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Unread {
    /// `events`, tables and results, in lower case.
    pub relations: BTreeSet<String>,
    /// There is a table or result whose name is wrong, so a query may mean it by any name.
    pub has_nameless: bool,
    /// Columns, fields and functions, in lower case.
    pub words: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    File(FileSource),
    Http(HttpSource),
    RabbitMq(Box<RabbitMqSource>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct FileSource {
    /// A file, a folder or a glob; joined to the folder of the file that names it, otherwise as written.
    pub path: PathBuf,
    pub place: Place,
    /// `None`: by extension (`.ndjson`, `.jsonl`, `.json`, `.csv`, before `.gz` or `.zst`), file by file.
    pub format: Option<FileFormat>,
    /// Keep reading as files grow or appear; otherwise the end of what is there closes the windows.
    pub follow: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileFormat {
    /// One JSON object a line.
    Ndjson,
    /// One document: an array of objects, or an object.
    Json,
    Csv(CsvOptions),
}

/// RFC 4180 with a chosen delimiter and quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    pub delimiter: u8,
    pub quote: u8,
    pub header: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HttpSource {
    /// How long accepted events are kept so that an added result can start from them.
    pub retain: Retain,
}

/// Messages of a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct RabbitMqSource {
    /// As its connection says.
    pub broker: RabbitMq,
    pub queue: String,
    /// Messages that may be delivered and not acknowledged.
    pub prefetch: u16,
    /// How the queue is created where there is none.
    pub declare: Option<QueueType>,
    /// Where it is begun, if it is a stream.
    pub from: Option<StreamStart>,
    /// What tells a message that is delivered again.
    pub id: Option<MessageId>,
    /// How long, and how many, ids are known.
    pub remember: Remember,
    pub retain: Retain,
    /// Of the source.
    pub place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueType {
    Classic,
    Quorum,
    Stream,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamStart {
    First,
    Next,
}

/// Where a message's id stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageId {
    /// The property `message-id`.
    Property,
    Header(String),
    /// A column of the event, or a nested path.
    Field(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remember {
    pub age: Duration,
    pub count: usize,
}

/// How events are read.
#[derive(Debug, Clone, PartialEq)]
pub struct Events {
    /// `None`: inferred from the first events.
    pub schema: Option<EventSchema>,
    /// Where each column of a written schema stands.
    pub column_places: Vec<(String, Place)>,
    /// The column or nested path (`a.b`) with the event time; `None`: arrival time.
    pub time: Option<Vec<String>>,
    /// Of `events.time`.
    pub time_place: Place,
    pub lateness: Duration,
    pub late: Late,
    /// Take numbers, booleans and timestamps that are written as strings too.
    pub coerce: bool,
    /// Bytes; a longer event is a dead letter.
    pub max_event: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventSchema {
    /// Unique without regard to case.
    pub fields: Vec<Field>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// Counted and left out.
    Drop,
    /// Kept as dead letters of stage `late`.
    Keep,
}

/// Reference data that SQL may join.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub name: Name,
    pub path: PathBuf,
    pub format: Option<FileFormat>,
    /// `None`: inferred.
    pub schema: Option<EventSchema>,
    /// Of the table's `path`.
    pub place: Place,
}

/// One SQL query, and where its rows go.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultSpec {
    pub name: Name,
    pub description: Option<String>,
    pub sql: Sql,
    pub retain: Retain,
    pub emit: Emit,
    /// Of `emit`, or of the name where it is not written.
    pub emit_place: Place,
    pub sinks: Vec<Sink>,
    /// Where rows are sent beside the collection.
    pub outside: Vec<OutsideSink>,
    /// Columns whose equality filters are to be fast; checked against the query's columns by the SQL compiler.
    pub index: Vec<(String, Place)>,
    /// Values kept a group by list aggregates outside a window.
    pub limit: Option<u64>,
    pub start: Start,
    /// Of the result's `name`.
    pub place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Emit {
    /// Rows change as events come.
    Updates,
    /// A row is appended once its window is closed.
    Final,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sink {
    Collection,
    /// Rows are counted and dropped.
    Discard,
}

/// A result's place outside.
#[derive(Debug, Clone, PartialEq)]
pub struct OutsideSink {
    pub target: OutsideTarget,
    /// Begin with the rows that are there.
    pub backfill: bool,
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq)]
pub enum OutsideTarget {
    MongoDb(MongoDbSink),
    RabbitMq(RabbitMqSink),
    Parquet(ParquetSink),
}

/// A collection of MongoDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MongoDbSink {
    /// The connection's name, and where it leads.
    pub connection: Name,
    pub store: MongoDb,
    pub database: String,
    pub collection: String,
}

/// An exchange of RabbitMQ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RabbitMqSink {
    /// The connection's name, and where it leads.
    pub connection: Name,
    pub broker: RabbitMq,
    /// [`DEFAULT_EXCHANGE`](Self::DEFAULT_EXCHANGE) is the broker's default one.
    pub exchange: String,
    /// Of the default exchange: a queue.
    pub routing_key: String,
    /// Wait where no queue gets a message.
    pub mandatory: bool,
}

/// A folder of Parquet files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParquetSink {
    pub folder: PathBuf,
    /// As it stands in the file.
    pub written: String,
    /// Columns whose values are names of folders.
    pub partition_by: Vec<(String, Place)>,
    /// Files are completed after so long,
    pub every: Duration,
    /// or so many bytes.
    pub size: u64,
}

/// Where a result that is added to a running pipeline starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The oldest retained event.
    Earliest,
    /// The next event.
    Latest,
}

/// Bounds of what is kept; `None` is unbounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Retain {
    pub age: Option<Duration>,
    /// Bytes on disk.
    pub size: Option<u64>,
}

/// Query text with its place in the YAML file.
#[derive(Debug, Clone, PartialEq)]
pub struct Sql {
    pub text: String,
    /// Of the SQL text's first character in the file.
    pub place: Place,
    /// Where each line of `text` starts in the file (1-based line and column), for plain and block scalars, whose line
    /// breaks are kept even where YAML folds them; empty where the scalar was quoted or has an anchor:
    /// then only `place` is known.
    pub lines: Vec<(usize, usize)>,
}

/// Given events and the rows expected of them.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineTest {
    pub name: String,
    /// One JSON object an event, as it would stand in the source.
    pub given: Vec<Map<String, Value>>,
    /// Rows in place of a table's file, by table.
    pub tables: Vec<(Name, Vec<Map<String, Value>>)>,
    /// Rows by result; only the columns that a row lists are compared.
    pub expect: Vec<(Name, Vec<Map<String, Value>>)>,
    /// Columns that rows of `tables` list whose schema is not written, for who infers it.
    pub table_columns: Vec<RowColumn>,
    /// Columns that rows of `expect` list, for who compiles the SQL.
    pub expected_columns: Vec<RowColumn>,
    pub place: Place,
}

/// A column that a test's rows name, where it first stands.
#[derive(Debug, Clone, PartialEq)]
pub struct RowColumn {
    /// The table or result.
    pub of: Name,
    pub column: String,
    pub place: Place,
}

impl OutsideSink {
    /// As `status` and metrics call it, like `mongodb:store/flights.delays` and `rabbitmq:broker/alerts/delays`; unique for
    /// a result.
    pub fn name(&self) -> String {
        match &self.target {
            OutsideTarget::MongoDb(MongoDbSink { connection, database, collection, .. }) => {
                format!("mongodb:{connection}/{database}.{collection}")
            }
            OutsideTarget::RabbitMq(RabbitMqSink { connection, exchange, routing_key, .. }) => {
                format!("rabbitmq:{connection}/{exchange}/{routing_key}")
            }
            // It is to be the same wherever the program is started.
            OutsideTarget::Parquet(ParquetSink { written, .. }) => format!("parquet:{written}"),
        }
    }
}

impl RabbitMqSink {
    /// The default exchange has no name; so the broker's HTTP API calls it.
    pub const DEFAULT_EXCHANGE: &'static str = "amq.default";
}

impl Name {
    /// `None` where `text` is not a valid name.
    pub fn new(text: &str) -> Option<Self> {
        let mut chars = text.chars();
        let first = chars.next().is_some_and(|c| c.is_ascii_lowercase());
        let rest = chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
        (first && rest && text.len() <= 63).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For drafts: no valid name is equal to it.
    pub(crate) fn stand_in() -> Self {
        Self(String::new())
    }

    pub fn is_stand_in(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Unread {
    /// The event time is wrong: windows cannot be judged.
    pub fn without_time(&mut self) {
        self.words.extend(["window", "session_window", "window_time"].map(str::to_owned));
    }
}

impl Source {
    /// Of events that are sent here and kept in a log: how long.
    pub fn retain(&self) -> Option<Retain> {
        match self {
            Self::File(_) => None,
            Self::Http(http) => Some(http.retain),
            Self::RabbitMq(queue) => Some(queue.retain),
        }
    }

    /// Whether it is read from somewhere else, by a connection.
    pub fn is_outside(&self) -> bool {
        matches!(self, Self::RabbitMq(_))
    }

    /// Whether events are sent here and kept in a log; they carry `_meta`.
    pub fn is_pushed(&self) -> bool {
        self.retain().is_some()
    }
}

impl Pipeline {
    /// Equal for two pipelines that run alike, wherever they stand in their files. Tests do not run, so they are left
    /// out.
    pub fn without_places(&self) -> Self {
        let nowhere = Place { file: PathBuf::new(), line: 0, column: 0 };
        let mut pipeline = Self { place: nowhere.clone(), tests: Vec::new(), ..self.clone() };
        match &mut pipeline.source {
            Source::File(file) => file.place = nowhere.clone(),
            Source::RabbitMq(queue) => queue.place = nowhere.clone(),
            Source::Http(_) => {}
        }
        pipeline.events.time_place = nowhere.clone();
        pipeline.events.column_places.clear();
        for table in &mut pipeline.tables {
            table.place = nowhere.clone();
        }
        for result in &mut pipeline.results {
            result.place = nowhere.clone();
            result.emit_place = nowhere.clone();
            result.sql = Sql { text: result.sql.text.clone(), place: nowhere.clone(), lines: Vec::new() };
            for (_, place) in &mut result.index {
                *place = nowhere.clone();
            }
            for sink in &mut result.outside {
                sink.place = nowhere.clone();
            }
        }
        pipeline
    }
}

impl EventSchema {
    /// The field at a path, names compared without case.
    pub fn at(&self, path: &[String]) -> Option<&Field> {
        let (first, rest) = path.split_first()?;
        let find = |fields: &[Field], name: &str| fields.iter().position(|f| f.name.eq_ignore_ascii_case(name));
        let mut field = &self.fields[find(&self.fields, first)?];
        for name in rest {
            let SparkType::Struct(fields) = &field.data_type else { return None };
            field = &fields[find(fields, name)?];
        }
        Some(field)
    }
}

impl Sql {
    /// The place of a 1-based line and column of `text`.
    pub fn place_of(&self, line: usize, column: usize) -> Place {
        match self.lines.get(line.wrapping_sub(1)) {
            Some((at, start)) => {
                Place { file: self.place.file.clone(), line: *at, column: start + column.saturating_sub(1) }
            }
            None => self.place.clone(),
        }
    }
}
