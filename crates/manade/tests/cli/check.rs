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

#[test]
fn a_platform_that_is_not_there_is_an_error() {
    assert_snapshot!(Place::empty().run(&["check", "nowhere"]));
}

#[test]
fn a_folder_without_yaml_is_an_error() {
    assert_snapshot!(Place::empty().run(&["check"]));
}
