use insta::assert_snapshot;

use crate::{PIPELINE, Place};

#[test]
fn a_sound_platform_is_described() {
    assert_snapshot!(Place::with_platform().run(&["check"]));
}

#[test]
fn an_inferred_schema_is_shown_to_be_pasted() {
    let place = Place::empty();
    place.write("p/e.ndjson", "{\"id\":1,\"when\":\"2026-01-01T10:00:00Z\",\"tags\":[\"a\"],\"of\":{\"x y\":1.5}}\n");
    place.write(
        "p/p.yaml",
        "apiVersion: manade.dev/v1alpha1\nkind: Pipeline\nmetadata: { name: p }\nspec:\n  source: { file: { path: e.ndjson } }\n  \
         results:\n    - name: ids\n      sql: SELECT id, tags[0] AS tag FROM events\n",
    );
    assert_snapshot!(place.run(&["check", "p"]));
}

#[test]
fn every_problem_is_reported_at_once() {
    let place = Place::with_platform();
    let text = PIPELINE.replace("value: double", "value: dubble").replace("retain:", "retian:");
    place.write("clicks.yaml", &text);
    let other = PIPELINE.replace("name: clicks", "name: others").replace("SELECT kind,", "SELECT knid,");
    let other =
        other.replace("name: by_kind", "name: b").replace("name: hourly", "name: h").replace("name: large", "name: l");
    place.write("others.yaml", &other.replace("by_kind:", "b:").replace("large:", "l:"));
    assert_snapshot!(place.run(&["check", "."]));
}

/// What is wrong in one place hides nothing that is wrong in another, and is not told twice.
#[test]
fn every_stage_goes_on_with_what_is_whole() {
    let place = Place::empty();
    place.write("e.ndjson", "{\"a\":1}\n");
    place.write("ages.csv", "id,age\n1,2\n");
    place.write(
        "one.yaml",
        r#"apiVersion: manade.dev/v1alpha1
kind: Pipeline
metadata: { name: one }
spec:
  source: { file: { path: e.ndjson, follow: false } }
  events:
    schema: { at: timestamp, id: int, name: strng }
    latenes: 5 minutes
    time: at
  tables:
    - { name: gone, file: { path: gone.csv } }
    - { name: ages, file: { path: ages.csv } }
  results:
    - { name: empty, sql: "" }
    - { name: over_empty, sql: SELECT nonsense FROM empty }
    - { name: over_gone, sql: SELECT nonsense FROM events JOIN gone USING (id) }
    - { name: over_ages, sql: "SELECT id, agee FROM events JOIN ages USING (id)" }
    - { name: over_over_ages, sql: SELECT agee FROM over_ages }
    - { name: syntax, sql: SELECT FROM gone WHERE }
    - { name: of_name, sql: "SELECT upper(name) AS big, iid FROM events" }
    - { name: misspelt, sql: SELECT idd FROM events }
    - { name: indexed, sql: "SELECT id, at FROM events", index: [idd] }
    - { name: By Hour, sql: "SELECT window(at, '1 hour'), count(*), idd FROM events GROUP BY 1" }
"#,
    );
    place.write(
        "two.yaml",
        r#"apiVersion: manade.dev/v1alpha1
kind: Pipeline
metadata: { name: two }
spec:
  source: { file: { path: e.ndjson, follow: false } }
  events: { time: when }
  tables: [{ name: gone_too, file: { path: gone.csv }, schema: { id: int } }]
  results:
    - { name: sound, sql: SELECT a FROM events }
    - { name: windows, sql: "SELECT window(when, '1 hour'), count(*) FROM events GROUP BY 1" }
    - { name: b, sql: SELECT b FROM events }
    - { name: unknown, sql: SELECT a FROM evnts }
    - { name: c, sql: "SELECT a, a FROM events" }
"#,
    );
    assert_snapshot!(place.run(&["check"]));
}

/// A file that is no text hides nothing of the others.
#[test]
fn a_file_that_is_not_utf8_is_told_by_its_place() {
    let place = Place::with_platform();
    place.write("other.yaml", &PIPELINE.replace("name: clicks", "name: others").replace("FROM events", "FROM evnts"));
    std::fs::write(place.path("latin.yaml"), b"# f\xc3\xbcr\n# \xc3\xbc \xfc\n").expect("written");
    std::fs::write(place.path("wide.yaml"), b"\xff\xfea\0").expect("written");
    let shown = place.run(&["check"]);
    assert!(
        shown.contains("latin.yaml:2:5: error: the file is not UTF-8 from here on\n  hint: save it as UTF-8"),
        "{shown}"
    );
    assert!(shown.contains("wide.yaml:1:1: error: the file is not UTF-8 from here on"), "{shown}");
    assert!(shown.contains("did you mean `events`?"), "{shown}");
}

/// What `check` says of a pipeline, each with its place.
fn told(place: &Place, pipeline: &str) -> String {
    place.write(
        "p.yaml",
        &format!("apiVersion: manade.dev/v1alpha1\nkind: Pipeline\nmetadata: {{ name: p }}\nspec:\n{pipeline}"),
    );
    place.run(&["check"])
}

#[test]
fn columns_that_rows_of_tests_list_are_judged() {
    let place = Place::empty();
    place.write("e.ndjson", "{\"user\":\"a\",\"n\":1}\n");
    place.write("t.csv", "id,label\na,b\n");
    let shown = told(
        &place,
        "  source: { file: { path: e.ndjson } }
  tables: [{ name: tt, file: { path: t.csv } }]
  results:
    - { name: a, sql: \"SELECT user, n, label FROM events LEFT JOIN tt ON user = id\" }
  tests:
    - name: t
      given: [{ user: a, n: 1 }]
      tables: { tt: [{ id: a, lable: x }] }
      expect: { a: [{ user: a, nn: 1 }, { other: null, nn: 2 }] }
",
    );
    for line in [
        "p.yaml:12:31: error: the table `tt` has no column `lable`\n  hint: did you mean `label`?",
        "p.yaml:13:32: error: the result `a` has no column `nn`\n  hint: the columns are user, n, label",
        "p.yaml:13:43: error: the result `a` has no column `other`\n  hint: the columns are user, n, label",
    ] {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
    assert!(shown.contains("\n3 errors"), "{shown}");
}

/// Where something else is wrong, or of no use, it is told where it stands.
#[test]
fn findings_stand_where_their_cause_is() {
    let place = Place::empty();
    place.write("e.ndjson", "{\"user\":\"a\",\"n\":1}\n");
    place.write("twice.csv", "id,name,id\n1,a,2\n");
    place.write("case.csv", "id,Name,NAME\n1,a,2\n");
    let shown = told(
        &place,
        "  source: { file: { path: e.ndjson } }
  tables: [{ name: twice, file: { path: twice.csv } }, { name: odd, file: { path: case.csv } }]
  results:
    - name: closed
      sql: SELECT user FROM events
      emit: final
    - name: listed
      sql: |
        SELECT user,
          collect_list(n) AS ns FROM events GROUP BY user
    - { name: early, sql: SELECT user FROM lat }
    - { name: lat, sql: SELECT user FROM events, index: [user] }
    - { name: vain, retain: 1 day, sql: \"SELECT user, avg(n) AS mean FROM events GROUP BY user\", index: [mean] }
",
    );
    for line in [
        "p.yaml:6:41: error: cannot read table `twice` from ./twice.csv: the header has the column `id` twice",
        "p.yaml:6:83: note: ./case.csv: `NAME` is left out: only its case differs from `Name`",
        "p.yaml:10:7: error: `emit: final` needs a window",
        "p.yaml:14:11: error: a list outside a window grows without end",
        "p.yaml:15:44: error: result `lat` stands further down\n  hint: move it up",
        "p.yaml:17:106: note: `index` has no effect on `mean`: floating-point columns are not indexed",
    ] {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
    place.write("e.csv", "a,b,a\n1,2,3\n");
    let shown =
        told(&place, "  source: { file: { path: e.csv } }\n  results: [{ name: r, sql: SELECT a FROM events }]\n");
    assert!(shown.contains("e.csv: the header has the column `a` twice\n  hint: rename one of them"), "{shown}");
}

/// A result whose state does not fit any more says what has changed, and where.
#[test]
fn what_has_changed_is_told() {
    let place = Place::empty();
    place.write("e.ndjson", "{\"t\":\"2026-01-01T10:00:00Z\",\"n\":1}\n");
    let spec = "  source: { file: { path: e.ndjson, follow: false } }
  events:
    schema:
      t: timestamp
      n: int
    time: t
  results:
    - { name: rows, sql: \"SELECT n FROM events\" }
    - { name: w, sql: \"SELECT window(t, '1 hour') AS w, count(n) AS s FROM events GROUP BY 1\", retain: 1 day }
";
    told(&place, spec);
    assert!(place.run(&["up", "--once"]).starts_with("exit: 0"));
    for (before, after, expect) in [
        (
            "n: int",
            "n: string",
            "p.yaml:9:7: error: the type of column `n` has changed from int to string, and what is stored of `rows`",
        ),
        ("retain: 1 day", "emit: final", "p.yaml:13:96: error: `emit` of `w` has changed, and what"),
        ("SELECT n FROM", "SELECT hex(n) AS n FROM", "p.yaml:12:26: error: the SQL of `rows` has changed, and what"),
    ] {
        told(&place, &spec.replace(before, after));
        let shown = place.run(&["up", "--once"]);
        assert!(shown.contains(expect) && shown.contains("manade reset p "), "{expect} is not in {shown}");
        assert!(shown.contains("\n1 error\n"), "{shown}");
    }
}

/// Rows and state of every kind that holds a column take its wider type, and what was narrow before keeps its value.
#[test]
fn a_column_may_become_wider() {
    let place = Place::empty();
    let spec = "  source: { file: { path: '*.ndjson', follow: false } }
  events:
    schema:
      t: timestamp
      n: int
      d: decimal(4,2)
      s: struct<n:smallint>
    time: t
  results:
    - { name: rows, sql: \"SELECT n, d, s, array(n) AS a FROM events\" }
    - { name: ends, sql: \"SELECT window(t, '1 hour') AS w, max(n) AS n FROM events GROUP BY 1\", emit: final }
    - name: groups
      sql: \"SELECT max(n) AS n, min(d) AS d, first(s) AS s, max_by(n, d) AS m, percentile_approx(n, 0.5) AS p, sum(n) AS t FROM events\"
    - { name: later, sql: \"SELECT max(n) AS n FROM ends\" }
";
    told(&place, spec);
    place.write("1.ndjson", "{\"t\":\"2026-01-01T10:00:00Z\",\"n\":-7,\"d\":1.25,\"s\":{\"n\":5}}\n");
    let up = |expect: &str| {
        let shown = place.run(&["up", "--once"]);
        assert!(shown.starts_with(expect), "{shown}");
    };
    up("exit: 0");
    let wider = spec.replace("n: int", "n: bigint").replace("(4,2)", "(20,3)").replace("n:smallint", "n:int");
    told(&place, &wider);
    let event = "{\"t\":\"2026-01-01T12:00:00Z\",\"n\":9000000000,\"d\":12345678.125,\"s\":{\"n\":70000}}\n";
    place.write("2.ndjson", event);
    up("exit: 0");
    let data = |name: &str| {
        let shown = place.run(&["data", name, "-o", "ndjson"]);
        let rows = shown.lines().filter(|line| line.starts_with('{')).map(str::to_owned);
        rows.collect::<Vec<_>>()
    };
    assert_eq!(
        data("rows"),
        [
            r#"{"n":-7,"d":1.250,"s":{"n":5},"a":[-7]}"#,
            r#"{"n":9000000000,"d":12345678.125,"s":{"n":70000},"a":[9000000000]}"#,
        ]
    );
    let groups = r#"{"n":9000000000,"d":1.250,"s":{"n":5},"m":9000000000,"p":-7,"t":8999999993}"#;
    assert_eq!(data("groups"), [groups]);
    let ends: Vec<String> = data("ends").iter().map(|row| row[row.rfind(',').unwrap()..].to_owned()).collect();
    assert_eq!(ends, [r#","n":-7}"#, r#","n":9000000000}"#]);
    assert_eq!(data("later"), [r#"{"n":9000000000}"#]);
    // What is found by its value has the type of that.
    let distinct = wider.replace("max(n) AS n, min(d)", "count(DISTINCT n) AS n, min(d)").replace("groups", "distinct");
    told(&place, &distinct);
    up("exit: 0");
    told(&place, &distinct.replace("n: bigint", "n: decimal(20,0)"));
    up("exit: 1\n--- stdout\n--- stderr\n./p.yaml:9:7: error: the type of column `n` has changed");
    // Narrower again: not every value that is stored would fit.
    told(&place, spec);
    up("exit: 1");
}

/// A table without a schema keeps the types that it had first, as long as its file fits them.
#[test]
fn a_table_keeps_its_types() {
    let place = Place::empty();
    place.write("e.ndjson", "{\"k\":1}\n");
    let spec = "  source: { file: { path: e.ndjson } }
  events: { schema: 'k int' }
  tables: [{ name: t, file: { path: t.csv } }]
  results: [{ name: r, sql: \"SELECT n, count(*) AS c FROM events JOIN t USING (k) GROUP BY n\" }]
";
    for (row, expect) in [("1,5000000000", "exit: 0"), ("1,9", "exit: 0"), ("1,", "exit: 0"), ("1,1.5", "exit: 1")] {
        place.write("t.csv", &format!("k,n\n{row}\n"));
        told(&place, spec);
        let shown = place.run(&["up", "--once"]);
        assert!(shown.starts_with(expect), "{row}: {shown}");
    }
}

#[test]
fn a_platform_that_is_not_there_is_an_error() {
    assert_snapshot!(Place::empty().run(&["check", "nowhere"]));
}

#[test]
fn a_folder_without_yaml_is_an_error() {
    assert_snapshot!(Place::empty().run(&["check"]));
}

/// A platform with a queue of a broker at `url`; `password` is a reference.
fn with_queue(url: &str, password: &str) -> Place {
    let place = Place::empty();
    let text = format!(
        "apiVersion: manade.dev/v1alpha1\nkind: Connection\nmetadata: {{ name: broker }}\nspec:\n  rabbitmq:\n    \
         url: {url}\n    password: {password}\n---\napiVersion: manade.dev/v1alpha1\nkind: Pipeline\n\
         metadata: {{ name: p }}\nspec:\n  source: {{ rabbitmq: {{ connection: broker, queue: q }} }}\n  \
         events: {{ schema: {{ id: bigint }} }}\n  results: [{{ name: r, sql: SELECT id FROM events }}]\n"
    );
    place.write("p.yaml", &text);
    place
}

#[test]
fn a_secret_that_is_not_there_is_an_error_of_the_file() {
    assert_snapshot!(with_queue("amqp://u@127.0.0.1", "{ env: MANADE_TEST_NOT_SET }").run(&["check", "."]));
    assert_snapshot!(with_queue("amqp://u@127.0.0.1", "{ file: not-there }").run(&["check", "."]));
}

#[test]
fn a_broker_that_cannot_be_reached_says_why() {
    // Nobody listens on port 1.
    let place = with_queue("amqp://u@127.0.0.1:1", "{ file: password }");
    place.write("password", "hunter2\n");
    assert_snapshot!(place.run(&["check", "."]));
    let refused = place.run(&["check", ".", "--connect"]);
    assert!(refused.contains("p.yaml:3:19: error: amqp://127.0.0.1:1 refuses connections"), "{refused}");
    let place = with_queue("amqps://u@no-such-host.invalid", "{ file: password }");
    place.write("password", "hunter2\n");
    let unknown = place.run(&["check", ".", "--connect"]);
    assert!(unknown.contains("p.yaml:3:19: error: the name no-such-host.invalid cannot be resolved"), "{unknown}");
    assert!(!(refused + &unknown).contains("hunter2"));
}

/// What a sink outside cannot hold is told before anything runs.
#[test]
fn what_a_sink_cannot_hold() {
    let place = Place::empty();
    place.write("e.ndjson", "{\"user\":\"a\",\"n\":1.5}\n");
    place.write(
        "connections.yaml",
        "apiVersion: manade.dev/v1alpha1\nkind: Connection\nmetadata: { name: store }\nspec: { mongodb: { url: 'mongodb://h' } }\n",
    );
    let shown = told(
        &place,
        "  source: { file: { path: e.ndjson } }
  results:
    - name: documents
      sql: SELECT user AS _id, n AS `$n` FROM events
      sinks: [mongodb: { connection: store, database: d, collection: a }]
    - name: groups
      sql: SELECT user, count(*) AS n FROM events GROUP BY user
      sinks: [parquet: { path: lake/a }]
    - name: files
      sql: SELECT user, n FROM events
      sinks: [parquet: { path: lake/b, partitionBy: [usr, n] }]
    - name: nothing
      sql: SELECT user FROM events
      sinks: [parquet: { path: lake/c, partitionBy: [user] }]
",
    );
    for line in [
        "p.yaml:9:15: error: the column `_id` of documents cannot be sent: a document has a field of this name already",
        "p.yaml:9:15: error: the column `$n` of documents cannot be sent: MongoDB takes no field of this name",
        "p.yaml:12:15: error: the rows of groups change, and those in a file cannot",
        "p.yaml:15:54: error: files has no column `usr`\n  hint: did you mean `user`?",
        "p.yaml:15:59: error: the column `n` cannot be a folder's name by its type",
        "p.yaml:18:15: error: `partitionBy` leaves no column of nothing for the files",
    ] {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
    assert!(shown.contains("\n6 errors"), "{shown}");
}
