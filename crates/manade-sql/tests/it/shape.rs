//! What a compiled query says of itself, and that cuts do not show.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use manade_model::Emit;
use manade_sql::{Catalog, Input, Stage, Window};
use proptest::prelude::*;

use crate::harness::{catalog, compile, compile_spec, flights, merged_by, rows, run, shown, spec};

#[test]
fn queries_say_what_they_read() {
    let query = compile("SELECT e.leg.delay, a.City FROM events e JOIN airports a ON e.origin = a.iata");
    assert_eq!(query.reads, [vec!["leg".to_owned(), "delay".to_owned()], vec!["origin".to_owned()]]);
    assert_eq!((query.tables.as_slice(), &query.input), (["airports".to_owned()].as_slice(), &Input::Events));
    assert_eq!(query.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["delay", "City"]);
    assert!(compile("SELECT count(*) AS n FROM events").reads.is_empty());
}

#[test]
fn groups_say_their_key_and_time() {
    let query = compile("SELECT window(date, '1 hour') AS w, Origin AS o, count(*) AS n FROM events GROUP BY 1, 2");
    assert_eq!(query.key, ["w", "o"]);
    assert_eq!(query.time, Some(vec!["w".to_owned(), "end".to_owned()]));
    let Stage::Groups(groups) = &query.stage else { panic!("not grouped") };
    let hour = Duration::from_hours(1);
    assert_eq!(groups.window, Some(Window::Fixed { size: hour, slide: hour, offset: Duration::ZERO }));
    assert_eq!((groups.main.key_columns, groups.main.window_start), (2, Some(0)));
    assert!(compile("SELECT count(*) AS n FROM events GROUP BY origin").key.is_empty());
    assert_eq!(compile("SELECT date AS d, origin FROM events").time, Some(vec!["d".to_owned()]));
}

#[test]
fn state_fits_where_only_what_stands_above_it_changes() {
    let print = |sql: &str| compile(sql).fingerprint;
    let one = print("SELECT origin, count(*) AS n FROM events WHERE delay > 1 GROUP BY origin");
    for same in [
        "SELECT e.origin AS o, count(*) + 1 AS m FROM events e WHERE e.delay > 1 GROUP BY e.origin",
        "SELECT origin, count(*) AS n FROM events WHERE delay > 1 GROUP BY origin HAVING count(*) > 2",
        "SELECT origin, count(*) AS n FROM events WHERE delay > 1 GROUP BY origin ORDER BY n LIMIT 3",
    ] {
        assert_eq!(print(same), one, "{same}");
    }
    for other in [
        "SELECT origin, count(*) AS n FROM events WHERE delay > 2 GROUP BY origin",
        "SELECT origin, sum(delay) AS n FROM events WHERE delay > 1 GROUP BY origin",
        "SELECT upper(origin) AS o, count(*) AS n FROM events WHERE delay > 1 GROUP BY 1",
    ] {
        assert_ne!(print(other), one, "{other}");
    }
    let exploded =
        |view: &str| print(&format!("SELECT t, count(*) AS n FROM events LATERAL VIEW {view}(tags) x AS t GROUP BY t"));
    assert_ne!(exploded("explode"), exploded("OUTER explode"), "an empty list gives a row");
}

/// Of a column of the events, or of a table, that becomes wider: what is computed is the same, unless each value is looked
/// at by its type.
#[test]
fn a_wider_schema_computes_the_same() {
    let print = |sql: &str, catalog: &Catalog| manade_sql::compile(&spec(sql), catalog).unwrap().fingerprint;
    let (mut narrow, mut wider) = (catalog(), catalog());
    narrow.events = with_type(&narrow.events, "distance", DataType::Decimal128(5, 2));
    wider.events = with_type(&wider.events, "delay", DataType::Int64);
    wider.events = with_type(&wider.events, "distance", DataType::Decimal128(9, 4));
    let list = |of| DataType::List(Arc::new(Field::new_list_field(of, true)));
    narrow.events = with_type(&narrow.events, "tags", list(DataType::Decimal128(5, 2)));
    wider.events = with_type(&wider.events, "tags", list(DataType::Decimal128(9, 4)));
    let airports = &wider.tables[0].1;
    let more = airports.fields().iter().cloned().chain([Arc::new(Field::new("runways", DataType::Int32, true))]);
    wider.tables[0].1 = Arc::new(Schema::new(more.collect::<Vec<_>>()));
    for (fits, sql) in [
        (true, "SELECT origin, sum(delay) AS n, avg(delay) AS m, count(delay) AS c FROM events GROUP BY origin"),
        (
            true,
            "SELECT origin, count_if(delay > 15) AS late, sum(delay * 2) AS s FROM events WHERE delay < 99 GROUP BY 1",
        ),
        (true, "SELECT a.city, count(*) AS n FROM events e JOIN airports a ON e.origin = a.iata GROUP BY a.city"),
        (true, "SELECT origin, max(delay) AS n, max_by(destination, delay) AS d FROM events GROUP BY origin"),
        (true, "SELECT origin, percentile_approx(delay, 0.5) AS n FROM events GROUP BY origin"),
        (true, "SELECT date, delay FROM events"),
        (true, "SELECT origin, count_if(delay > 5.5) AS n, max(coalesce(delay, 0)) AS m FROM events GROUP BY origin"),
        (true, "SELECT cast(delay AS string) AS d, count(*) AS n FROM events GROUP BY 1"),
        (false, "SELECT cast(distance AS string) AS d, count(*) AS n FROM events GROUP BY 1"),
        (false, "SELECT count(*) AS n FROM events WHERE cast(distance AS string) = '4.50'"),
        (false, "SELECT count(*) AS n FROM events WHERE length(distance) = 4"),
        (false, "SELECT origin, max(instr(distance, '.')) AS n FROM events GROUP BY origin"),
        (true, "SELECT count(*) AS n, max(distance) AS p FROM events WHERE distance > 3"),
        (true, "SELECT count(*) AS n, sum(abs(delay)) AS p FROM events WHERE sqrt(distance) > 3"),
        (false, "SELECT hash(delay) AS h, count(*) AS n FROM events GROUP BY 1"),
        (false, "SELECT typeof(delay) AS t, count(*) AS n FROM events GROUP BY 1"),
        (false, "SELECT cast(tags AS string) AS t, count(*) AS n FROM events GROUP BY 1"),
        (false, "SELECT md5(to_json(tags)) AS t, count(*) AS n FROM events GROUP BY 1"),
        (false, "SELECT array_join(tags, ',') AS t, count(*) AS n FROM events GROUP BY 1"),
        (false, "SELECT xxhash64(tags) AS t, count(*) AS n FROM events GROUP BY 1"),
        (true, "SELECT size(tags) AS t, count(*) AS n FROM events WHERE array_contains(tags, 1) GROUP BY 1"),
        (true, "SELECT size(filter(tags, t -> t > 1)) AS t, max(tags[0]) AS m FROM events GROUP BY 1"),
        (false, "SELECT delay, count(*) AS n FROM events GROUP BY delay"),
        (false, "SELECT origin, approx_count_distinct(delay) AS n FROM events GROUP BY origin"),
    ] {
        assert_eq!(print(sql, &narrow) == print(sql, &wider), fits, "{sql}");
    }
}

fn with_type(schema: &Schema, name: &str, data_type: DataType) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        if field.name() == name { Arc::new(Field::new(name, data_type.clone(), true)) } else { Arc::clone(field) }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[test]
fn results_ask_for_what_is_there() {
    let mut wrong = spec("SELECT origin, count(*) AS n FROM events GROUP BY origin");
    wrong.emit = Emit::Final;
    wrong.index = vec![("orign".to_owned(), wrong.place.clone())];
    let text = shown(&compile_spec(&wrong).unwrap_err());
    assert!(text.contains("did you mean `origin`?") && text.contains("`emit: final` needs a window"), "{text}");
    let notes = compile("SELECT origin, count(*) AS n FROM events GROUP BY origin").notes;
    assert!(shown(&notes).contains("note: state grows with the keys"));
}

/// As in Spark, which normalises what it groups by; the values of a group are found by it.
#[test]
fn both_zeros_are_one_group() {
    let zero = "if(origin = 'JFK', -0.0D, 0.0D)";
    for key in [zero.to_owned(), format!("array({zero})"), format!("struct({zero} AS a)"), format!("float({zero})")] {
        for cuts in [[100, 100], [1, 2]] {
            let sql = format!("SELECT count(*) AS n, count(DISTINCT origin) AS d FROM events GROUP BY {key}");
            assert_eq!(rows(&sql, &cuts), ["9 | 4"], "{key}");
        }
    }
}

#[test]
fn earlier_results_are_read_as_streams() {
    let query = compile("SELECT window.end AS e, sum(flights) AS n FROM hourly GROUP BY window(ends, '1 day')");
    assert_eq!(query.input, Input::Result("hourly".to_owned()));
    assert_eq!(query.time, Some(vec!["e".to_owned()]));
}

#[test]
fn lists_outside_windows_keep_their_first_values() {
    let sql = "SELECT origin, collect_list(delay) AS l, collect_set(destination) AS s FROM events GROUP BY origin";
    let mut limited = spec(sql);
    limited.limit = Some(1);
    let query = compile_spec(&limited).unwrap();
    for cuts in [[100, 100], [1, 1], [2, 3]] {
        let expect = ["BOS | [15] | [JFK]", "JFK | [20] | [BOS]", "LAX | [0] | [SFO]", "SFO | [40] | [JFK]"];
        assert_eq!(run(&query, &flights(), &cuts, None).rows, expect);
    }
}

#[test]
fn a_limit_of_values_shown_is_none_of_values_counted() {
    let sql =
        "SELECT count(*) AS n, collect_set(origin) AS s, count(DISTINCT origin) AS d, mode(origin) AS m FROM events";
    let mut limited = spec(sql);
    limited.limit = Some(2);
    let query = compile_spec(&limited).unwrap();
    for cuts in [[100, 100], [1, 2]] {
        assert_eq!(run(&query, &flights(), &cuts, None).rows, ["9 | [JFK, SFO] | 4 | JFK"]);
    }
}

const EVERYTHING: &str = "SELECT window.start AS w, origin, count(*) AS n, sum(delay) AS s, max(destination) AS m,
    count(DISTINCT destination) AS d, percentile(delay, 0.3) AS p, collect_list(distance) AS l, avg(delay) AS a,
    first(destination) AS f, last(delay) AS z, max_by(destination, distance) AS b, approx_count_distinct(delay) AS c
    FROM events GROUP BY window(date, '90 minutes', '30 minutes'), origin";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn cuts_do_not_show(cuts in proptest::collection::vec(1_usize..5, 1..6)) {
        prop_assert_eq!(rows(EVERYTHING, &cuts), rows(EVERYTHING, &[100]));
    }

    #[test]
    fn merging_is_associative(turns in proptest::collection::vec(0_usize..100, 1..40)) {
        prop_assert_eq!(merged_by(EVERYTHING, &turns), rows(EVERYTHING, &[100]));
    }
}
