use std::time::Duration;

use proptest::prelude::*;

use super::*;

mod connections;

const FLIGHTS: &str = include_str!("tests/flights.yaml");
const NASTY: &str = include_str!("tests/nasty.yaml");

fn parse_one(text: &str) -> Parsed {
    parse(&[PlatformFile { path: PathBuf::from("platform/p.yaml"), text: text.to_owned() }])
}

fn shown(parsed: &Parsed) -> String {
    parsed.findings.iter().flat_map(|finding| [finding.to_string(), "\n".to_owned()]).collect()
}

/// The findings of a file: line, column, and a part of what is printed. Nothing else may be found.
fn check(text: &str, expect: &[(usize, usize, &str)]) {
    let parsed = parse_one(text);
    let found: Vec<String> = parsed.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expect.len(), "{text}\n{found:#?}");
    for (finding, (line, column, part)) in found.iter().zip(expect) {
        let place = format!("platform/p.yaml:{line}:{column}: ");
        assert!(finding.starts_with(&place) && finding.contains(part), "{finding}\nexpected {place} {part}");
    }
}

/// A pipeline with one result, and lines put under one of its keys (`metadata`, `file`, `events`, `result`, `spec`).
fn pipeline_with(key: &str, lines: &str) -> String {
    let under = |at: &str, indent: usize| -> String {
        let lines = if key == at { lines } else { "" };
        lines.lines().flat_map(|line| [" ".repeat(indent), line.to_owned(), "\n".to_owned()]).collect()
    };
    format!(
        "apiVersion: manade.dev/v1alpha1\nkind: Pipeline\nmetadata:\n  name: p\nspec:\n  source:\n    file:\n      path: e.ndjson\n{}  \
         results:\n    - name: r\n      sql: SELECT a FROM events\n{}  events:\n    lateness: 0\n{}{}",
        under("file", 6),
        under("result", 6),
        under("events", 4),
        under("spec", 2),
    )
}

/// Lines of `pipeline_with` before those that are put in.
const FILE: usize = 8;
const RESULT: usize = 11;
const EVENTS: usize = 13;
const SPEC: usize = 13;

fn checked_pipeline(text: &str) -> Pipeline {
    let mut parsed = parse_one(text);
    assert_eq!(shown(&parsed), "", "{text}");
    assert_eq!(parsed.drafts, []);
    parsed.platform.pipelines.remove(0)
}

fn schema_of(lines: &str) -> EventSchema {
    checked_pipeline(&pipeline_with("events", lines)).events.schema.unwrap()
}

#[test]
fn the_issues_example() {
    let pipeline = checked_pipeline(FLIGHTS);
    assert_eq!(pipeline.name.as_str(), "flights");
    let Source::File(file) = &pipeline.source else { panic!("{:?}", pipeline.source) };
    assert_eq!(file.path, PathBuf::from("platform/data/flights.ndjson"));
    assert_eq!((&file.format, file.follow), (&Some(FileFormat::Ndjson), true));
    let schema = pipeline.events.schema.as_ref().unwrap();
    let types: Vec<String> = schema.fields.iter().map(|field| format!("{} {}", field.name, field.data_type)).collect();
    assert_eq!(types, ["date timestamp", "delay int", "distance int", "origin string", "destination string"]);
    assert_eq!(schema.fields[0].data_type, SparkType::Timestamp(TimeFormat::Pattern("yyyy/MM/dd HH:mm".to_owned())));
    let pattern_place = Place { file: "platform/p.yaml".into(), line: 13, column: 40 };
    assert_eq!(pipeline.patterns, [("yyyy/MM/dd HH:mm".to_owned(), pattern_place)]);
    assert_eq!(pipeline.events.time, Some(vec!["date".to_owned()]));
    assert_eq!(pipeline.events.lateness, Duration::from_mins(10));
    assert_eq!(
        (pipeline.events.late, pipeline.events.coerce, pipeline.events.max_event),
        (Late::Drop, false, 16 << 20)
    );
    assert_eq!(pipeline.tables[0].path, PathBuf::from("platform/data/airports.csv"));

    let names: Vec<&str> = pipeline.results.iter().map(|result| result.name.as_str()).collect();
    assert_eq!(names, ["delays_by_city", "long_delays", "hourly"]);
    let [by_city, long, hourly] = &pipeline.results[..] else { panic!() };
    assert_eq!(by_city.sql.text.lines().count(), 3);
    assert_eq!(by_city.sql.lines, [(28, 9), (29, 9), (30, 9)]);
    assert_eq!(by_city.sql.place_of(2, 6), Place { file: "platform/p.yaml".into(), line: 29, column: 14 });
    assert_eq!(long.sql.lines, [(32, 12)]);
    assert_eq!(long.retain, Retain { age: Some(Duration::from_hours(720)), size: None });
    assert_eq!(
        (hourly.emit, &hourly.sinks[..], hourly.start),
        (Emit::Updates, &[Sink::Collection][..], Start::Earliest)
    );
    assert_eq!(pipeline.tests[0].expect[0].1[0]["flights"], 1);
    assert_eq!(pipeline.tests[0].given[0]["date"], "2001/01/01 00:10");
}

#[test]
fn every_error_at_once() {
    let expect: &[(usize, usize, &str)] = &[
        (5, 9, "`Flights of 2001` is not a valid name\n  hint: write `flights_of_2001`"),
        (6, 3, "unknown key `labels` in `metadata`"),
        (8, 3, "unknown key `lateness` in `spec`\n  hint: it belongs in `spec.events.lateness`"),
        (11, 13, "`s3://` is not a local path"),
        (12, 15, "did you mean `csv`?"),
        (13, 7, "unknown key `delimitr` in `file`\n  hint: did you mean `delimiter`?"),
        (14, 14, "`quote` expects one ASCII character"),
        (15, 15, "`follow` expects true or false, found the text `yes`\n  hint: write `true`"),
        (16, 5, "`source` takes only one of `file` or `http` or `rabbitmq`"),
        (19, 22, "unknown type `timstamp`\n  hint: did you mean `timestamp`?"),
        (21, 7, "`Delay` stands twice, first in line 20"),
        (22, 19, "unknown type `strng`\n  hint: did you mean `string`?"),
        (23, 25, "a date cannot have the format `epoch_seconds`"),
        (24, 13, "a struct needs `fields`"),
        (24, 29, "unknown key `name` in `user`\n  hint: a nested object is written"),
        (25, 39, "`format` does not fit the type `array<timestamp>`"),
        (26, 7, "the column `__row` starts with `__`"),
        (28, 15, "`lateness`: unknown unit `minuts` in the duration `10 minuts`\n  hint: did you mean `minutes`?"),
        (29, 11, "`late` expects `drop` or `keep`, found `dropp`\n  hint: did you mean `drop`?"),
        (30, 13, "`coerce` expects true or false, found the text `true`\n  hint: write `true`, without quotes"),
        (31, 15, "unknown unit `MBB`"),
        (33, 13, "a table cannot be called `events`"),
        (34, 21, "`~` is not expanded"),
        (35, 7, "`path` is missing in `file`\n  hint: write it like `path: data/airports.csv`"),
        (35, 23, "`format` expects `ndjson`, `json` or `csv`, found `parquet`"),
        (36, 13, "`name` expects a name, found the number `1.10`\n  hint: use lower-case"),
        (38, 13, "`long delays` is not a valid name\n  hint: write `long_delays`"),
        (39, 7, "`sql` has no value"),
        (40, 15, "`retain` has no unit: `30`"),
        (43, 13, "`emit` expects `updates` or `final`, found `finally`\n  hint: did you mean `final`?"),
        (44, 27, "`discard` cannot be combined"),
        (44, 36, "an item of `sinks` expects `collection` or `discard`, found `kafka`"),
        (45, 23, "the column `ORIGIN` stands twice in `index`"),
        (46, 14, "`limit` expects a whole number, found the number `0`"),
        (47, 7, "the key `limit` stands here twice, first in line 46"),
        (48, 14, "`start` expects `earliest` or `latest`, found `now`"),
        (49, 7, "`name` is missing in an item of `results`"),
        (50, 12, "`sql` expects a query, found the number `5`"),
        (51, 22, "`age`: unknown unit `GiB`"),
        (51, 36, "`size`: unknown unit `days`"),
        (54, 24, "the number `007` has leading zeros"),
        (54, 37, "the number `.nan` cannot be written in JSON"),
        (54, 45, "an item of `given` expects an object, found the number `5`"),
        (55, 45, "`hourly` expects a list, found a mapping"),
        (57, 13, "unknown apiVersion `manade.dev/v1alpha`"),
        (61, 7, "unknown kind `Pipelin`\n  hint: did you mean `Pipeline`?"),
        (63, 1, "`apiVersion` is missing in the document"),
        (69, 1, "not valid YAML"),
        (73, 9, "`source` is empty\n  hint: write `file` or `http` or `rabbitmq` in it"),
        (73, 21, "`results` is empty"),
    ];
    check(NASTY, expect);
}

#[test]
fn wording() {
    insta::assert_snapshot!(shown(&parse_one(NASTY)));
}

/// Line (counted from the lines put in), column, part of the finding.
fn check_in(key: &str, lines: &str, expect: &[(usize, usize, &str)]) {
    let before = match key {
        "file" => FILE,
        "result" => RESULT,
        "events" => EVENTS,
        _ => SPEC,
    };
    let expect: Vec<_> = expect.iter().map(|(line, column, part)| (line + before, *column, *part)).collect();
    check(&pipeline_with(key, lines), &expect);
}

#[test]
fn schemas() {
    let show = |schema: EventSchema| -> Vec<String> {
        schema.fields.iter().map(|field| format!("{} {:?}", field.name, field.data_type)).collect()
    };
    assert_eq!(
        show(schema_of("schema:\n  A: bigint\n  b c: array<int>\n  on: date\n")),
        ["A Long", "b c Array(Int)", "on Date(Iso)"]
    );
    assert_eq!(show(schema_of("schema: a INT, b STRING NOT NULL\n")), ["a Int", "b String"]);
    assert_eq!(
        show(schema_of(
            "schema:\n  t: { type: timestamp, format: epoch_millis }\n  n: { type: timestamp_ntz, format: epoch_seconds }\n  \
             d: { type: date, format: dd.MM.yyyy }\n"
        )),
        ["t Timestamp(EpochMillis)", "n TimestampNtz(EpochSeconds)", "d Date(Pattern(\"dd.MM.yyyy\"))"]
    );
    assert_eq!(
        show(schema_of(
            "schema:\n  s:\n    type: struct\n    fields:\n      at: { type: timestamp, format: epoch_micros }\n      \
             tags: { type: array, element: { type: map, value: int } }\n"
        )),
        ["s Struct([Field { name: \"at\", data_type: Timestamp(EpochMicros) }, \
          Field { name: \"tags\", data_type: Array(Map(String, Int)) }])"]
    );
}

#[test]
fn wrong_schemas() {
    let check = |lines: &str, expect: &[(usize, usize, &str)]| check_in("events", lines, expect);
    check("schema: {}\n", &[(1, 5, "`schema` is empty")]);
    check("schema:\n", &[(1, 5, "`schema` has no value\n  hint: write `column: type` lines")]);
    check("schema:\n  a:\n", &[(2, 7, "`a` has no value\n  hint: write a Spark type")]);
    check("schema: [a, b]\n", &[(1, 13, "`schema` expects columns or a mapping, found a list")]);
    check("schema:\n  ü: struct<x:int,y:flot>\n", &[(2, 25, "did you mean `float`?")]);
    check("schema:\n  a: 5\n", &[(2, 10, "`a` expects a type, found the number `5`")]);
    check("schema:\n  a: { type: array }\n", &[(2, 10, "an array needs `element`")]);
    check(
        "schema:\n  a: { type: map, value: int, fields: { x: int } }\n",
        &[(2, 35, "`fields` does not fit the type `map<string,int>`")],
    );
    check("schema:\n  a: { type: int, format: yyyy }\n", &[(2, 23, "`format` does not fit the type `int`")]);
    check("schema:\n  a: { type: timestamp, format: epoch_ms }\n", &[(2, 37, "did you mean `epoch_millis`?")]);
    check("schema:\n  a: { typ: int }\n", &[(2, 12, "did you mean `type`?")]);
}

/// JSON has no other keys than strings.
#[test]
fn keys_of_maps() {
    let message = "the keys of a map are strings in JSON, not int\n  hint: write `map<string, ...>`";
    check_in(
        "events",
        "schema:\n  a: map<int,string>\n  b: { type: \"array<map<int,string>>\" }\n  c: { type: map, key: int, value: string }\n  \
         d: map<string,map<string,int>>\n",
        &[(2, 10, message), (3, 18, message), (4, 28, message)],
    );
    check_in("events", "schema: \"a int, b struct<c:map<int,int>>\"\n", &[(1, 13, message)]);
}

/// What may come by a merge key is not called missing.
#[test]
fn merge_keys() {
    let message = "merge keys (`<<`) are not supported";
    check_in("spec", "tables:\n  - { <<: { file: { path: x.csv } }, name: t }\n", &[(2, 9, message)]);
    check_in("events", "schema: { <<: { a: int }, b: int }\ntime: a\n", &[(1, 15, message)]);
}

#[test]
fn event_times() {
    let time = |lines: &str| checked_pipeline(&pipeline_with("events", lines)).events.time.unwrap();
    assert_eq!(time("time: a.b\n"), ["a", "b"]);
    assert_eq!(time("time: '`a.b`.c'\n"), ["a.b", "c"]);
    assert_eq!(time("time: a.B\nschema: a struct<b timestamp>\n"), ["a", "B"]);
    assert_eq!(time("time: a.b\nschema: '`a.b` date'\n"), ["a.b"]);
    let check = |lines: &str, expect: &[(usize, usize, &str)]| check_in("events", lines, expect);
    check("time: a..b\n", &[(1, 11, "`a..b` is not a column's path")]);
    check(
        "time: dat\nschema: date timestamp\n",
        &[(1, 11, "the event time `dat` is not in the schema\n  hint: did you mean `date`?")],
    );
    check(
        "time: at\nschema: at bigint\n",
        &[(
            1,
            11,
            "`at` is a bigint, not a timestamp or date\n  hint: declare it as `at: { type: timestamp, format: epoch_millis }`",
        )],
    );
    check(
        "time: at\nschema: at string\n",
        &[(1, 11, "declare it as `at: { type: timestamp, format: yyyy-MM-dd HH:mm:ss }`")],
    );
    check("time: meta.sent\nschema: meta struct<sent_at:timestamp>\n", &[(1, 11, "did you mean `meta.sent_at`?")]);
    check("late: keep\n", &[(1, 5, "note: `late` has no effect")]);
}

#[test]
fn formats_of_files() {
    let format = |lines: &str| match checked_pipeline(&pipeline_with("file", lines)).source {
        Source::File(file) => file.format,
        _ => panic!(),
    };
    let csv = |delimiter, quote, header| Some(FileFormat::Csv(CsvOptions { delimiter, quote, header }));
    assert_eq!(format(""), None);
    assert_eq!(format("format: json\n"), Some(FileFormat::Json));
    assert_eq!(format("format: csv\n"), csv(b',', b'"', true));
    assert_eq!(format("format: csv\ndelimiter: \";\"\nquote: \"'\"\nheader: false\n"), csv(b';', b'\'', false));
    assert_eq!(format("format: { csv: { delimiter: \"\\t\", header: false } }\n"), csv(b'\t', b'"', false));
    assert_eq!(format("delimiter: \\t\n"), csv(b'\t', b'"', true));
    let check = |lines: &str, expect: &[(usize, usize, &str)]| check_in("file", lines, expect);
    check("format: json\nheader: false\n", &[(2, 7, "`header` is an option of csv, the format is json")]);
    check("format: { csv: {} }\nquote: \"'\"\n", &[(2, 7, "`quote` stands beside")]);
    check("delimiter: '\"'\n", &[(1, 7, "the same character")]);
    check("delimiter: x\n", &[(1, 18, "no letter or digit, found `x`")]);
    check("delimiter: 5\n", &[(1, 18, "expects one character, found the number `5`")]);
    check("format:\n  avro: {}\n", &[(2, 9, "unknown key `avro` in `format`")]);
}

/// Its source is in line 7, its schema in line 9.
fn http_pipeline(http: &str, schema: &str) -> String {
    let head = "apiVersion: manade.dev/v1alpha1\nkind: Pipeline\nmetadata:\n  name: p\nspec:\n  source:\n";
    format!("{head}    {http}\n  events:\n    {schema}\n  results: [{{ name: r, sql: SELECT 1 }}]\n")
}

#[test]
fn http_sources() {
    let retain = |http: &str| match checked_pipeline(&http_pipeline(http, "schema: a int")).source {
        Source::Http(http) => http.retain,
        _ => panic!(),
    };
    let day = Duration::from_hours(24);
    assert_eq!(retain("http: {}"), Retain { age: Some(day), size: None });
    assert_eq!(retain("http: { retain: 2 days }"), Retain { age: Some(2 * day), size: None });
    assert_eq!(retain("http: { retain: 10 GiB }"), Retain { age: None, size: Some(10 << 30) });
    assert_eq!(
        retain("http: { retain: { age: 1 day, size: 5 MB } }"),
        Retain { age: Some(day), size: Some(5_000_000) }
    );
    let check = |http: &str, schema: &str, expect: &[(usize, usize, &str)]| check(&http_pipeline(http, schema), expect);
    check("http:", "schema: a int", &[(7, 5, "`http` has no value\n  hint: write `http: {}`")]);
    check("http: { retain: 0 days }", "schema: a int", &[(7, 21, "`retain` must be more than 0")]);
    check("http: {}", "schema: _meta string", &[(9, 13, "the column `_meta` is added")]);
    check("http: {}", "late: drop", &[(7, 5, "the source `http` needs `events.schema`")]);
}

#[test]
fn results() {
    let check_one = |lines: &str, expect: &[(usize, usize, &str)]| check_in("result", lines, expect);
    check_one("sinks: []\n", &[(1, 7, "`sinks` is empty")]);
    check_one("sinks: [discard]\nindex: [a]\n", &[(2, 7, "note: `index` has no effect: the rows are discarded")]);
    check_one(
        "sinks: collection\n",
        &[(1, 14, "`sinks` expects a list, found the text `collection`\n  hint: write it as a list: `[a, b]`")],
    );
    check_one("limit: 1_000\n", &[(1, 14, "found the text `1_000`\n  hint: write 1000")]);
    check_one(
        "description: 2024\n",
        &[(1, 20, "`description` expects text, found the number `2024`\n  hint: quote it: `\"2024\"`")],
    );
    check_one("retain: {}\n", &[(1, 7, "`retain` is empty\n  hint: write `age` or `size` in it")]);
    check_one("retain: 30 dais\n", &[(1, 15, "did you mean `days`?")]);
    check(
        &pipeline_with("spec", "").replace("name: r", "name: events"),
        &[(10, 13, "a result cannot be called `events`")],
    );
}

#[test]
fn tables_and_tests() {
    let table =
        |name: &str| format!("tables:\n  - {{ name: {name}, file: {{ path: x.csv }}, schema: \"k string\" }}\n");
    check(&pipeline_with("spec", &table("r")), &[(10, 13, "a table of this pipeline is called `r` too")]);
    check_in(
        "spec",
        &(table("t") + "  - { name: t, file: { path: y.csv } }\n"),
        &[(3, 15, "a second table is called `t`, the first is in line 15")],
    );
    check_in(
        "spec",
        &(table("t")
            + "tests:\n  - name: x\n    given: []\n    tables: { u: [], t: [{ k: 1.10, q: 1 }] }\n    expect: { q: [] }\n"),
        &[
            (6, 17, "unknown table `u`"),
            (6, 33, "note: `k` is a string, and `1.10` is a number in YAML\n  hint: quote it"),
            (6, 39, "unknown column `q`"),
            (7, 17, "unknown result `q`"),
        ],
    );
    check_in(
        "spec",
        "tests:\n  - { name: x, given: [], expect: { r: [] } }\n  - { name: x, given: [], expect: {} }\n",
        &[(3, 15, "a second test is called `x`, the first is in line 15"), (3, 29, "`expect` is empty")],
    );
    let rows =
        "tests:\n  - { name: x, given: [{ a: ~, b: -1.5e3, c: NO, d: [true, 2001-01-01] }], expect: { r: [] } }\n";
    assert_eq!(
        serde_json::to_string(&checked_pipeline(&pipeline_with("spec", rows)).tests[0].given[0]).unwrap(),
        r#"{"a":null,"b":-1500.0,"c":"NO","d":[true,"2001-01-01"]}"#
    );
}

#[test]
fn names_are_unique_in_a_platform() {
    let file = |path: &str, text: &str| PlatformFile { path: path.into(), text: text.to_owned() };
    let first = pipeline_with("spec", "");
    let second = first.replace("name: p", "name: q").replace("name: r", "name: s");
    let parsed = parse(&[file("a.yaml", &first), file("b.yaml", &second)]);
    assert_eq!((parsed.platform.pipelines.len(), shown(&parsed)), (2, String::new()));
    let third = format!("{}---\n{first}", second.replace("name: s", "name: r"));
    let parsed = parse(&[file("a.yaml", &first), file("b.yaml", &third)]);
    assert_eq!(
        shown(&parsed),
        "b.yaml:10:13: error: a second result is called `r`, the first is at a.yaml:10:13\n  \
         hint: rename one of them: a result's name is its collection's, unique in the platform\n\
         b.yaml:18:9: error: a second pipeline is called `p`, the first is at a.yaml:4:9\n  hint: rename one of them\n\
         b.yaml:24:13: error: a second result is called `r`, the first is at a.yaml:10:13\n  \
         hint: rename one of them: a result's name is its collection's, unique in the platform\n"
    );
    assert_eq!((parsed.platform.pipelines.len(), parsed.drafts.len()), (1, 2));
}

#[test]
fn other_yaml_in_the_folder() {
    const SKIPPED: &str = "note: not a Manade resource, skipped";
    check("services:\n  web: { image: nginx }\n", &[(1, 1, SKIPPED)]);
    check("apiVersion: apps/v1\nkind: Deployment\n", &[(1, 1, SKIPPED)]);
    check("- a\n- b\n", &[(1, 1, SKIPPED)]);
    check("just text\n", &[(1, 1, SKIPPED)]);
    check("a: &a { b: !Ref c }\nd: { <<: *a }\nd: 1\n", &[(1, 1, SKIPPED)]);
    check("# nothing\n", &[]);
    check(
        "apiVersion: manade.dev/v1\nkind: Pipeline\n",
        &[(1, 13, "this version of manade reads `manade.dev/v1alpha1`")],
    );
    check("apiVersion: mande.dev/v1alpha1\n", &[(1, 13, "unknown apiVersion `mande.dev/v1alpha1`")]);
    check("apiVersion: tekton.dev/v1\nkind: Pipeline\n", &[(1, 13, "unknown apiVersion `tekton.dev/v1`")]);
    check("apiversion: manade.dev/v1alpha1\n", &[(1, 1, "did you mean `apiVersion`?")]);
    check("metadata: { name: x }\nspec:\n  source: {}\n  results: []\n", &[(1, 1, "`apiVersion` is missing")]);
    check("apiVersion: manade.dev/v1alpha1\nkind: Table\n", &[(2, 7, "the kinds are `Pipeline` and `Connection`")]);
    check(
        "apiVersion: manade.dev/v1alpha1\nmetadata: { name: a }\nspec: 5\n",
        &[
            (1, 1, "`kind` is missing in the document\n  hint: write `kind: Pipeline`"),
            (3, 7, "`spec` expects a mapping, found the number `5`"),
        ],
    );
}

#[test]
fn drafts_hold_what_sql_can_be_judged_by() {
    let parsed = parse_one(&pipeline_with("result", "retain: soon\nsinks: [discard]\n"));
    assert_eq!(parsed.drafts[0].pipeline.results[0].sql.text, "SELECT a FROM events");
    assert_eq!(parsed.drafts[0].unread, Unread::default());
    assert_eq!(parsed.platform.pipelines, []);
    // What is wrong with the YAML itself counts too.
    let parsed = parse_one(&pipeline_with("events", "late: drop\nlate: keep\n"));
    assert_eq!((parsed.findings.len(), parsed.drafts.len(), parsed.platform.pipelines.len()), (1, 1, 0));
}

/// Text, relations, whether one has no name, words, results that are left.
type Draft<'a> = (String, &'a [&'a str], bool, &'a [&'a str], usize);

#[test]
fn drafts_say_what_nothing_can_be_said_about() {
    let windows = ["session_window", "window", "window_time"].as_slice();
    let after = |text: &str| pipeline_with("spec", "").replace("  events:", &format!("{text}  events:"));
    let empty = pipeline_with("spec", "").replace("SELECT a FROM events", "\"\"");
    let nameless = pipeline_with("spec", "").replace("name: r", "name: My R");
    let cases: [Draft<'_>; 14] = [
        (pipeline_with("events", "schema:\n  a: innt\n  b: int\n"), &[], false, &["a"], 1),
        (
            pipeline_with("events", "schema:\n  a: { type: struct, fields: { x: innt, y: int } }\n"),
            &[],
            false,
            &["x"],
            1,
        ),
        (pipeline_with("events", "schema: a innt\n"), &["events"], false, &[], 1),
        (pipeline_with("events", "schema:\n  a: int\ntime: b\n"), &[], false, windows, 1),
        (pipeline_with("events", "time: .\n"), &[], false, windows, 1),
        (pipeline_with("events", "tiem: a\n"), &[], false, windows, 1),
        (pipeline_with("events", "latenes: 0\n"), &[], false, &[], 1),
        (pipeline_with("file", "format: jsonl\n"), &["events"], false, &[], 1),
        (pipeline_with("spec", "tables: [{ name: t }]\n"), &["t"], false, &[], 1),
        (pipeline_with("spec", "tables: [{ name: T t, file: { path: t.csv } }]\n"), &[], true, &[], 1),
        (pipeline_with("spec", "tables: 5\n"), &[], true, &[], 1),
        (after("    - name: s\n"), &["s"], false, &[], 1),
        (empty, &["r"], false, &[], 0),
        (nameless, &[], true, &[], 1),
    ];
    for (text, relations, has_nameless, words, results) in cases {
        let mut parsed = parse_one(&text);
        assert!(!parsed.findings.is_empty(), "{text}");
        assert_eq!((parsed.drafts.len(), parsed.platform.pipelines.len()), (1, 0), "{text}");
        let draft = parsed.drafts.remove(0);
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let expect = Unread { relations: set(relations), has_nameless, words: set(words) };
        assert_eq!((draft.unread, draft.pipeline.results.len()), (expect, results), "{text}");
    }
}

/// The SQL of a pipeline whose `sql:` is written so; its text and where its lines start, from the line of `sql:`.
fn check_sql(written: &str, text: &str, lines: &[(usize, usize)]) {
    let yaml = pipeline_with("spec", "").replace("sql: SELECT a FROM events", written);
    let pipeline = checked_pipeline(&yaml);
    let sql = &pipeline.results[0].sql;
    let from_sql: Vec<_> = sql.lines.iter().map(|(line, column)| (line + 1 - RESULT, *column)).collect();
    assert_eq!((sql.text.as_str(), &from_sql[..]), (text, lines), "{written}");
    // What is said to stand there does.
    let page: Vec<&str> = yaml.lines().collect();
    for (line, (at, column)) in sql.text.lines().zip(&sql.lines) {
        let there: String = page[at - 1].chars().skip(column - 1).collect();
        assert!(there.starts_with(line), "{there} / {line}");
    }
}

#[test]
fn places_of_sql() {
    check_sql("sql: SELECT 1", "SELECT 1", &[(1, 12)]);
    check_sql("sql:   SELECT 'ü', x   # comment", "SELECT 'ü', x", &[(1, 14)]);
    check_sql("sql:\n        SELECT 1", "SELECT 1", &[(2, 9)]);
    check_sql(
        "sql: SELECT a\n          FROM b\n\n        WHERE c",
        "SELECT a\nFROM b\n\nWHERE c",
        &[(1, 12), (2, 11), (3, 1), (4, 9)],
    );
    check_sql("sql: |\n        SELECT a\n          FROM b", "SELECT a\n  FROM b", &[(2, 9), (3, 9)]);
    check_sql(
        "sql: | # c\n\n        SELECT a\n\n        FROM b\n\n",
        "\nSELECT a\n\nFROM b",
        &[(2, 9), (3, 9), (4, 9), (5, 9)],
    );
    check_sql("sql: |2-\n          SELECT a\n        FROM b\n", "  SELECT a\nFROM b", &[(2, 9), (3, 9)]);
    check_sql("sql: |+\n        SELECT a -- x\n        FROM b\n\n", "SELECT a -- x\nFROM b", &[(2, 9), (3, 9)]);
    check_sql(
        "sql: >\n        SELECT a -- x\n        FROM b\n\n          WHERE c\n",
        "SELECT a -- x\nFROM b\n\n  WHERE c",
        &[(2, 9), (3, 9), (4, 9), (5, 9)],
    );
    check_sql("sql: >-\n        SELECT a", "SELECT a", &[(2, 9)]);
    check_sql("sql: 'SELECT ''x'' '", "SELECT 'x' ", &[]);
    check_sql("sql: &q SELECT a", "SELECT a", &[]);
    check_sql("sql: &q |\n        SELECT a\n", "SELECT a\n", &[]);
    check_sql("sql: \"SELECT\\n1\"", "SELECT\n1", &[]);
}

#[test]
fn places_in_sql() {
    let sql = |written: &str| {
        let yaml = pipeline_with("spec", "").replace("sql: SELECT a FROM events", written);
        checked_pipeline(&yaml).results.remove(0).sql
    };
    let quoted = sql("sql: 'SELECT 1'");
    assert_eq!((quoted.place.line, quoted.place.column), (11, 12));
    assert_eq!(quoted.place_of(1, 5), quoted.place);
    let windows = sql("sql: |\r\n\r\n        SELECT\r\n        1\r\n");
    assert_eq!((windows.text.as_str(), windows.place.line, windows.place_of(3, 1).line), ("\nSELECT\n1", 13, 14));
    let flow =
        checked_pipeline(&http_pipeline("http: {}", "schema: a int").replace("SELECT 1 }", "SELECT a\n    FROM b }"));
    assert_eq!(
        (flow.results[0].sql.text.as_str(), &flow.results[0].sql.lines[..]),
        ("SELECT a\nFROM b", &[(10, 29), (11, 5)][..])
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_read(text in "\\PC{0,200}|[-a-z:{}\\[\\]&*!|>'\"#%@, \n\t]{0,200}") {
        parse_one(&text);
    }

    /// Pieces of a file cut out, doubled, and replaced.
    #[test]
    fn any_change_of_a_file_is_read(
        nasty: bool,
        changes in proptest::collection::vec(
            (any::<proptest::sample::Index>(), 0..40_usize, "[-a-z0-9:{}\\[\\]&*|>'\"#, \n\t\r\u{0}ü]{0,4}", any::<bool>()),
            1..6,
        ),
    ) {
        let mut text: Vec<char> = if nasty { NASTY } else { FLIGHTS }.chars().collect();
        for (at, length, with, doubled) in changes {
            let start = at.index(text.len() + 1);
            let end = (start + length).min(text.len());
            let kept: Vec<char> = if doubled { text[start..end].to_vec() } else { Vec::new() };
            text.splice(start..if doubled { start } else { end }, kept.into_iter().chain(with.chars()));
        }
        let text: String = text.into_iter().collect();
        let parsed = parse_one(&text);
        let last = yaml::lines(&text).count();
        for finding in &parsed.findings {
            prop_assert!(finding.place.line <= last + 1 && finding.place.column >= 1, "{}", finding);
        }
        let is_wrong = parsed.findings.iter().any(|finding| finding.severity == Severity::Error);
        prop_assert!(is_wrong || parsed.drafts.is_empty());
    }
}

#[test]
fn jsonl_is_called_ndjson_here() {
    let parsed = parse_one(&pipeline_with("file", "format: jsonl\n"));
    assert_eq!(parsed.findings[0].hint.as_deref(), Some("did you mean `ndjson`?"));
}
