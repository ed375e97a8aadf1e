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

#[test]
fn a_platform_that_is_not_there_is_an_error() {
    assert_snapshot!(Place::empty().run(&["check", "nowhere"]));
}

#[test]
fn a_folder_without_yaml_is_an_error() {
    assert_snapshot!(Place::empty().run(&["check"]));
}
