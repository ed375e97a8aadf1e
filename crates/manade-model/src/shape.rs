//! What may stand in a platform file, as data: an object's keys with their types, defaults and one line of docs.
//!
//! One generic pass (`read`) holds documents against these tables, and the JSON Schema is printed from them.

/// An object with fixed keys.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Its name in the JSON Schema.
    pub name: &'static str,
    pub doc: &'static str,
    pub keys: &'static [Key],
    pub written: Written,
}

/// How many of an object's keys are to be written, beyond the required ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Any,
    /// One at least.
    Some,
    /// Exactly one.
    One,
}

#[derive(Debug)]
pub(crate) struct Key {
    pub name: &'static str,
    pub kind: Kind,
    /// One line: what it means.
    pub doc: &'static str,
    pub required: bool,
    /// As YAML.
    pub default: Option<&'static str>,
    /// As YAML.
    pub examples: &'static [&'static str],
}

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Name,
    Path,
    Sql,
    Flag,
    /// A whole number from 1.
    Count,
    Duration,
    Size,
    /// A duration or a size.
    Bound,
    /// One ASCII character.
    Character,
    /// One of these words; each with a line of docs.
    Choice(&'static [(&'static str, &'static str)]),
    /// A type in Spark's DDL.
    Type,
    /// A type in Spark's DDL, or `struct`, `array` or `map` alone.
    TypeOrOuter,
    /// Columns in Spark's DDL.
    Columns,
    /// Any JSON object.
    Row,
    /// With at least so many items.
    List(&'static Kind, usize),
    /// An object with free keys.
    Map(&'static Kind),
    Object(&'static Shape),
    /// The first where a plain value stands, the second where a mapping stands.
    Either(&'static Kind, &'static Kind),
}

pub(crate) const API_VERSION: &str = "manade.dev/v1alpha1";
const VERSION: Key =
    Key::new("apiVersion", Kind::Choice(&[(API_VERSION, "")]), "The version of this format.").required();

/// What a document can be: its `kind`, and its shape.
pub(crate) static DOCUMENTS: [&Shape; 2] = [&PIPELINE, &CONNECTION];

pub(crate) static PIPELINE: Shape = Shape {
    name: "Pipeline",
    doc: "A pipeline: one source of events, and the results that SQL makes of them.",
    written: Written::Any,
    keys: &[
        VERSION,
        Key::new("kind", Kind::Choice(&[("Pipeline", "")]), "What the document describes.").required(),
        Key::new("metadata", Kind::Object(&METADATA), "What names the pipeline.").required(),
        Key::new("spec", Kind::Object(&SPEC), "What the pipeline does.").required(),
    ],
};

static METADATA: Shape = Shape {
    name: "Metadata",
    doc: "What names a resource.",
    written: Written::Any,
    keys: &[Key::new(
        "name",
        Kind::Name,
        "The resource's name, unique among those of its kind: lower-case letters, digits, `_`, `-`.",
    )
    .required()
    .examples(&["flights"])],
};

pub(crate) static CONNECTION: Shape = Shape {
    name: "Connection",
    doc: "A connection: a broker or store that pipelines use.",
    written: Written::Any,
    keys: &[
        VERSION,
        Key::new("kind", Kind::Choice(&[("Connection", "")]), "What the document describes.").required(),
        Key::new("metadata", Kind::Object(&METADATA), "What names the connection.").required(),
        Key::new("spec", Kind::Object(&CONNECTION_SPEC), "Where it leads, and how to be let in.").required(),
    ],
};

static CONNECTION_SPEC: Shape = Shape {
    name: "ConnectionSpec",
    doc: "Where a connection leads: exactly one of these.",
    written: Written::One,
    keys: &[
        Key::new("rabbitmq", Kind::Object(&RABBITMQ), "A RabbitMQ broker, or another that speaks AMQP 0-9-1."),
        Key::new(
            "mongodb",
            Kind::Object(&MONGODB),
            "A MongoDB server or replica set, or another that speaks its protocol.",
        ),
    ],
};

static RABBITMQ: Shape = Shape {
    name: "RabbitMq",
    doc: "A RabbitMQ broker.",
    written: Written::Any,
    keys: &[
        Key::new(
            "url",
            Kind::Text,
            "`amqp://user@host:port/vhost`, or `amqps://` for TLS; a virtual host `/` is written `%2f`.",
        )
        .required()
        .examples(&["amqp://manade@127.0.0.1:5672/%2f"]),
        Key::new("password", SECRET, "The user's password."),
        Key::new("tls", Kind::Object(&TLS), "What TLS trusts and shows; without it: the system's certificates."),
    ],
};

static MONGODB: Shape = Shape {
    name: "MongoDb",
    doc: "A MongoDB server or replica set.",
    written: Written::Any,
    keys: &[
        Key::new(
            "url",
            Kind::Text,
            "`mongodb://user@host:port,host:port/?replicaSet=name`; the path is the database that knows the user (default `admin`).",
        )
        .required()
        .examples(&["mongodb://manade@127.0.0.1:27017"]),
        Key::new("password", SECRET, "The user's password."),
        Key::new("tls", Kind::Object(&TLS), "Speak TLS, and what it trusts and shows."),
    ],
};

const SECRET: Kind = Kind::Object(&SECRET_OBJECT);

static SECRET_OBJECT: Shape = Shape {
    name: "Secret",
    doc: "Where a secret is to be had; the secret itself stands in no file of the platform.",
    written: Written::One,
    keys: &[
        Key::new("env", Kind::Text, "An environment variable.").examples(&["RABBITMQ_PASSWORD"]),
        Key::new("file", Kind::Path, "A file, relative to this file.").examples(&["/run/secrets/rabbitmq"]),
    ],
};

static TLS: Shape = Shape {
    name: "Tls",
    doc: "What a TLS connection trusts and shows, as PEM.",
    written: Written::Some,
    keys: &[
        Key::new("ca", SECRET, "Certificates that are trusted in place of the system's.")
            .examples(&["{ file: ca.pem }"]),
        Key::new("cert", SECRET, "The certificate chain that is shown, for mutual TLS; needs `key`."),
        Key::new("key", SECRET, "The private key of `cert`."),
    ],
};

static SPEC: Shape = Shape {
    name: "PipelineSpec",
    doc: "What a pipeline does.",
    written: Written::Any,
    keys: &[
        Key::new("source", Kind::Object(&SOURCE), "Where events come from.").required(),
        Key::new("events", Kind::Object(&EVENTS), "How events are read."),
        Key::new("tables", Kind::List(&Kind::Object(&TABLE), 0), "Reference data that SQL may join."),
        Key::new("results", Kind::List(&Kind::Object(&RESULT), 1), "Queries, each with a collection of its rows.")
            .required(),
        Key::new("tests", Kind::List(&Kind::Object(&TEST), 0), "Unit tests, run by `manade test`."),
    ],
};

static SOURCE: Shape = Shape {
    name: "Source",
    doc: "Where events come from: exactly one of these.",
    written: Written::One,
    keys: &[
        Key::new("file", Kind::Object(&FILE_SOURCE), "Events in files."),
        Key::new("http", Kind::Object(&HTTP_SOURCE), "Events sent to `POST /ingest/{pipeline}`; write `http: {}`."),
        Key::new("rabbitmq", Kind::Object(&RABBITMQ_SOURCE), "Messages of a RabbitMQ queue."),
    ],
};

const PATH: Key = Key::new("path", Kind::Path, "A file, folder or glob, relative to this file; `.gz` and `.zst` too.")
    .required()
    .examples(&["data/flights.ndjson", "data/*.csv.gz"]);
const TABLE_PATH: Key = Key::new("path", Kind::Path, "One file, relative to this file; `.gz` and `.zst` too.")
    .required()
    .examples(&["data/airports.csv"]);
const FORMAT: Key = Key::new("format", FORMAT_KIND, "The files' format; by default by extension.");
const FORMAT_KIND: Kind = Kind::Either(
    &Kind::Choice(&[
        ("ndjson", "One JSON object a line."),
        ("json", "One document: an array of objects, or an object."),
        ("csv", "Comma-separated values."),
    ]),
    &Kind::Object(&FORMAT_OBJECT),
);
const DELIMITER: Key =
    Key::new("delimiter", Kind::Character, "Between cells of csv.").default("\",\"").examples(&["\";\"", "\"\\t\""]);
const QUOTE: Key = Key::new("quote", Kind::Character, "Around cells of csv that hold delimiters or line breaks.")
    .default("'\"'")
    .examples(&["\"'\""]);
const HEADER: Key = Key::new(
    "header",
    Kind::Flag,
    "The first line of csv names the columns; otherwise they are in the schema's order.",
)
.default("true");

static FORMAT_OBJECT: Shape = Shape {
    name: "Format",
    doc: "A format with options.",
    written: Written::One,
    keys: &[Key::new("csv", Kind::Object(&CSV), "Comma-separated values.")],
};

static CSV: Shape =
    Shape { name: "Csv", doc: "Options of csv (RFC 4180).", written: Written::Any, keys: &[DELIMITER, QUOTE, HEADER] };

static FILE_SOURCE: Shape = Shape {
    name: "FileSource",
    doc: "Events in files.",
    written: Written::Any,
    keys: &[
        PATH,
        FORMAT,
        DELIMITER,
        QUOTE,
        HEADER,
        Key::new(
            "follow",
            Kind::Flag,
            "Keep reading as files grow or appear; false: finished at the end, which closes the windows.",
        )
        .default("true"),
    ],
};

const BOUND_EXAMPLES: &[&str] = &["30 days", "10 GiB"];
const RETAIN: Kind = Kind::Either(&Kind::Bound, &Kind::Object(&RETAIN_OBJECT));

static RETAIN_OBJECT: Shape = Shape {
    name: "Retain",
    doc: "Bounds of what is kept; the first that is reached holds.",
    written: Written::Some,
    keys: &[
        Key::new("age", Kind::Duration, "How long it is kept.").examples(&["30 days"]),
        Key::new("size", Kind::Size, "How many bytes on disk are kept.").examples(&["10 GiB"]),
    ],
};

static HTTP_SOURCE: Shape = Shape {
    name: "HttpSource",
    doc: "Events sent to `POST /ingest/{pipeline}`.",
    written: Written::Any,
    keys: &[Key::new("retain", RETAIN, "How long events are kept so that an added result can start from them.")
        .default("1 day")
        .examples(BOUND_EXAMPLES)],
};

static RABBITMQ_SOURCE: Shape = Shape {
    name: "RabbitMqSource",
    doc: "Messages of a queue: made durable here, then acknowledged.",
    written: Written::Any,
    keys: &[
        Key::new("connection", Kind::Name, "The connection to the broker.").required().examples(&["broker"]),
        Key::new("queue", Kind::Text, "The queue's name.").required().examples(&["flights"]),
        Key::new("from", Kind::Choice(&[("first", "All that it has."), ("next", "What comes from now on.")]), "Says that the queue is a stream, and where it is begun. Later starts go on where reading ended.")
            .examples(&["first"]),
        Key::new("prefetch", Kind::Count, "Messages that the broker sends ahead of their acknowledgement.").default("2000"),
        Key::new("declare", Kind::Object(&DECLARE), "Create the queue, durable, where there is none; without it: a missing queue is waited for."),
        Key::new("id", MESSAGE_ID, "What tells a message that is delivered again from a new one; without it a message may count twice after a cut.")
            .examples(&["message-id", "{ header: x-event-id }", "{ field: id }"]),
        Key::new("remember", REMEMBER, "How long, and how many, ids are known.").default("{ age: 1 day, count: 10000000 }"),
        Key::new("retain", RETAIN, "How long events are kept so that an added result can start from them.")
            .default("1 day")
            .examples(BOUND_EXAMPLES),
    ],
};

static DECLARE: Shape = Shape {
    name: "Declare",
    doc: "How a queue is created.",
    written: Written::Any,
    keys: &[Key::new(
        "type",
        Kind::Choice(&[
            ("quorum", "Replicated over the broker's nodes."),
            ("classic", "On one node."),
            ("stream", "A log that keeps what was read."),
        ]),
        "The queue's type.",
    )
    .default("quorum")],
};

const MESSAGE_ID: Kind =
    Kind::Either(&Kind::Choice(&[("message-id", "The property `message-id`.")]), &Kind::Object(&MESSAGE_ID_OBJECT));

static MESSAGE_ID_OBJECT: Shape = Shape {
    name: "MessageId",
    doc: "Where the id stands: one of these.",
    written: Written::One,
    keys: &[
        Key::new("header", Kind::Text, "A header of the message.").examples(&["x-event-id"]),
        Key::new("field", Kind::Text, "A field of the event: a column or a nested path.").examples(&["id"]),
    ],
};

const REMEMBER: Kind = Kind::Either(&Kind::Duration, &Kind::Object(&REMEMBER_OBJECT));

static REMEMBER_OBJECT: Shape = Shape {
    name: "Remember",
    doc: "Bounds of the ids that are known; the first that is reached holds.",
    written: Written::Some,
    keys: &[
        Key::new("age", Kind::Duration, "How long an id is known.").default("1 day"),
        Key::new("count", Kind::Count, "How many ids are known; each takes about 60 bytes of memory.")
            .default("10000000"),
    ],
};

const SCHEMA: Kind = Kind::Either(&Kind::Columns, &COLUMNS);
static COLUMNS: Kind = Kind::Map(&FIELD_TYPE);
// Types hold types: statics may refer to each other, constants may not.
static FIELD_TYPE: Kind = Kind::Either(&Kind::Type, &TYPE_OBJECT);
static TYPE_OBJECT: Kind = Kind::Object(&TYPE);
const SCHEMA_EXAMPLES: &[&str] =
    &["{ date: { type: timestamp, format: yyyy/MM/dd HH:mm }, delay: int, tags: array<string> }"];

static EVENTS: Shape = Shape {
    name: "Events",
    doc: "How events are read.",
    written: Written::Any,
    keys: &[
        Key::new("schema", SCHEMA, "The columns and their Spark SQL types; without it: inferred from the first events (needed unless the source is a file).")
            .examples(SCHEMA_EXAMPLES),
        Key::new("time", Kind::Text, "The event time: a column or a nested path; without it: arrival time.")
            .examples(&["date", "meta.sent_at"]),
        Key::new("lateness", Kind::Duration, "How far behind the newest event an event may be before its window is closed.")
            .default("0 seconds")
            .examples(&["10 minutes"]),
        Key::new(
            "late",
            Kind::Choice(&[("drop", "Counted and left out."), ("keep", "Kept as dead letters.")]),
            "What becomes of events that come after their window is closed.",
        )
        .default("drop"),
        Key::new("coerce", Kind::Flag, "Take numbers, booleans and timestamps that are written as strings too.").default("false"),
        Key::new("maxEvent", Kind::Size, "A larger event is a dead letter.").default("16 MiB"),
    ],
};

static TYPE: Shape = Shape {
    name: "Type",
    doc: "A type with its parts written out.",
    written: Written::Any,
    keys: &[
        Key::new("type", Kind::TypeOrOuter, "A Spark SQL type; `struct`, `array` and `map` may have their parts below.")
            .required()
            .examples(&["timestamp", "bigint", "struct<a:int,b:array<string>>"]),
        Key::new(
            "format",
            Kind::Text,
            "Of a date or timestamp: a pattern of Spark's; of a timestamp also epoch_seconds, epoch_millis or epoch_micros.",
        )
        .examples(&["yyyy/MM/dd HH:mm", "epoch_millis"]),
        Key::new("fields", Kind::Map(&FIELD_TYPE), "Of a struct: its fields and their types."),
        Key::new("element", Kind::Either(&Kind::Type, &TYPE_OBJECT), "Of an array: the type of its elements."),
        Key::new("key", Kind::Either(&Kind::Type, &TYPE_OBJECT), "Of a map: the type of its keys.").default("string"),
        Key::new("value", Kind::Either(&Kind::Type, &TYPE_OBJECT), "Of a map: the type of its values."),
    ],
};

static TABLE: Shape = Shape {
    name: "Table",
    doc: "Reference data in a file, read again when the file changes.",
    written: Written::Any,
    keys: &[
        Key::new("name", Kind::Name, "The name that SQL joins it by.").required().examples(&["airports"]),
        Key::new("file", Kind::Object(&TABLE_FILE), "The file that holds it.").required(),
        Key::new("schema", SCHEMA, "The columns and their Spark SQL types; without it: inferred.")
            .examples(SCHEMA_EXAMPLES),
    ],
};

static TABLE_FILE: Shape = Shape {
    name: "TableFile",
    doc: "The file of a table.",
    written: Written::Any,
    keys: &[TABLE_PATH, FORMAT, DELIMITER, QUOTE, HEADER],
};

static RESULT: Shape = Shape {
    name: "Result",
    doc: "A query, and what becomes of its rows.",
    written: Written::Any,
    keys: &[
        Key::new("name", Kind::Name, "The result's and its collection's name, unique in the platform; served at `/data/{name}`.")
            .required()
            .examples(&["delays_by_city"]),
        Key::new("description", Kind::Text, "Shown in the API's documentation."),
        Key::new("sql", Kind::Sql, "A query in Spark SQL over `events`, the tables and earlier results.")
            .required()
            .examples(&["SELECT origin, count(*) AS flights FROM events GROUP BY origin"]),
        Key::new("retain", RETAIN, "How long rows are kept: by window end, else by last update; appended rows by age or size. Without it: for ever.")
            .examples(BOUND_EXAMPLES),
        Key::new(
            "emit",
            Kind::Choice(&[
                ("updates", "Rows change as events come."),
                ("final", "A row is appended once its window is closed."),
            ]),
            "When rows are written.",
        )
        .default("updates"),
        Key::new("sinks", Kind::List(&SINK, 1), "Where rows go.").default("[collection]"),
        Key::new("index", Kind::List(&Kind::Text, 1), "Columns on which an equality filter is to be fast.").examples(&["[origin]"]),
        Key::new("limit", Kind::Count, "Values kept a group by list aggregates (collect_list, collect_set) outside a window.")
            .examples(&["1000"]),
        Key::new(
            "start",
            Kind::Choice(&[("earliest", "From the oldest retained event."), ("latest", "From the next event.")]),
            "Where the result starts when it is added to a running pipeline.",
        )
        .default("earliest"),
    ],
};

const SINK: Kind = Kind::Either(
    &Kind::Choice(&[
        ("collection", "Rows are kept and served."),
        ("discard", "Rows are counted and dropped: for benchmarks."),
    ]),
    &Kind::Object(&SINK_OBJECT),
);

static SINK_OBJECT: Shape = Shape {
    name: "Sink",
    doc: "A place outside that rows are sent to, beside the collection.",
    written: Written::One,
    keys: &[
        Key::new("mongodb", Kind::Object(&MONGODB_SINK), "A collection of MongoDB."),
        Key::new("rabbitmq", Kind::Object(&RABBITMQ_SINK), "An exchange of RabbitMQ, or a queue."),
        Key::new("parquet", Kind::Object(&PARQUET_SINK), "A folder of Parquet files."),
    ],
};

static MONGODB_SINK: Shape = Shape {
    name: "MongoDbSink",
    doc: "A collection of MongoDB that holds the result's rows as documents; it is to have no other writer.",
    written: Written::Any,
    keys: &[
        Key::new("connection", Kind::Name, "The connection to the store.").required().examples(&["store"]),
        Key::new("database", Kind::Text, "The database.").required().examples(&["flights"]),
        Key::new("collection", Kind::Text, "The collection, made where there is none.")
            .required()
            .examples(&["delays_by_city"]),
        BACKFILL,
    ],
};

static RABBITMQ_SINK: Shape = Shape {
    name: "RabbitMqSink",
    doc: "An exchange of RabbitMQ that gets a message for each row that comes, changes or goes.",
    written: Written::Any,
    keys: &[
        Key::new("connection", Kind::Name, "The connection to the broker.").required().examples(&["broker"]),
        Key::new(
            "exchange",
            Kind::Text,
            "The exchange, which must be there; amq.default is the broker's default exchange.",
        )
        .default("amq.default")
        .examples(&["alerts"]),
        Key::new("routingKey", Kind::Text, "The messages' routing key; with the default exchange: the queue.")
            .default("''")
            .examples(&["delays"]),
        Key::new("mandatory", Kind::Flag, "Wait where no queue gets a message; false: the broker drops it.")
            .default("true"),
        BACKFILL,
    ],
};

static PARQUET_SINK: Shape = Shape {
    name: "ParquetSink",
    doc: "A folder of Parquet files of a result whose rows are only added.",
    written: Written::Any,
    keys: &[
        Key::new("path", Kind::Path, "The folder, relative to this file; made where there is none.")
            .required()
            .examples(&["lake/delays"]),
        Key::new(
            "partitionBy",
            Kind::List(&Kind::Text, 1),
            "Columns whose values are names of folders: `day=2026-01-31`.",
        )
        .examples(&["[day]"]),
        Key::new("every", Kind::Duration, "Files are completed after so long.").default("1 minute"),
        Key::new("size", Kind::Size, "Files are completed once they have so many bytes together.").default("128 MiB"),
        BACKFILL,
    ],
};

const BACKFILL: Key = Key::new(
    "backfill",
    Kind::Flag,
    "A sink that is added to an old result begins with the rows that are there; false: with the next change.",
)
.default("true");

const ROWS: Kind = Kind::List(&Kind::Row, 0);

static TEST: Shape = Shape {
    name: "Test",
    doc: "A unit test: given events, expected rows.",
    written: Written::Any,
    keys: &[
        Key::new("name", Kind::Text, "What is tested, in words.")
            .required()
            .examples(&["a delayed flight counts as late"]),
        Key::new("given", ROWS, "The events, as they would stand in the source.").required(),
        Key::new("tables", Kind::Map(&ROWS), "Rows in place of a table's file, by table."),
        Key::new(
            "expect",
            Kind::Map(&ROWS),
            "All rows of a result, by result; only the columns that are listed are compared.",
        )
        .required(),
    ],
};

impl Key {
    const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, doc, required: false, default: None, examples: &[] }
    }

    const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    const fn default(self, yaml: &'static str) -> Self {
        Self { default: Some(yaml), ..self }
    }

    const fn examples(self, yaml: &'static [&'static str]) -> Self {
        Self { examples: yaml, ..self }
    }
}

impl Shape {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Kind {
    /// The shape that objects of this kind have, looking into lists and free keys.
    pub(crate) fn shape(self) -> Option<&'static Shape> {
        match self {
            Self::Object(shape) => Some(shape),
            Self::List(item, _) | Self::Map(item) => item.shape(),
            Self::Either(_, object) => object.shape(),
            _ => None,
        }
    }
}

/// Where in a document a key of this name belongs, as `spec.events.lateness`: the first such place.
pub(crate) fn home_of(document: &'static Shape, name: &str) -> Option<String> {
    let mut level: Vec<(String, &'static Shape)> = vec![(String::new(), document)];
    // Types nest in themselves; nothing else is deeper than this.
    for _ in 0..6 {
        if let Some((path, _)) = level.iter().find(|(_, shape)| shape.key(name).is_some()) {
            return Some(format!("{path}{name}"));
        }
        let below = |(path, shape): &(String, &'static Shape)| -> Vec<(String, &'static Shape)> {
            let inner = shape.keys.iter().filter_map(|key| Some((key, key.kind.shape()?)));
            inner.map(|(key, shape)| (format!("{path}{}{}.", key.name, key.kind.item_mark()), shape)).collect()
        };
        level = level.iter().flat_map(below).collect();
    }
    None
}

impl Kind {
    fn item_mark(self) -> &'static str {
        if matches!(self, Self::List(..)) { "[]" } else { "" }
    }
}
