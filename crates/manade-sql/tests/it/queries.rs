//! What queries give, computed by hand from the nine flights, in any cuts.

use crate::harness::{compile, flights, reordered, rows, run};

const CUTS: [&[usize]; 4] = [&[100], &[1], &[2, 3], &[4, 1]];

/// The same rows however the events are cut.
fn check(sql: &str, expect: &[&str]) {
    for cuts in CUTS {
        assert_eq!(rows(sql, cuts), expect, "{sql} in cuts {cuts:?}");
    }
}

#[test]
fn rows_pass_filters_and_projections() {
    check("SELECT origin, delay FROM events WHERE delay > 30", &["SFO | 181", "SFO | 40", "SFO | 40"]);
    check("SELECT leg.origin, leg.delay * 2 AS twice FROM events e WHERE e.leg.delay < 0", &["JFK | -10"]);
    check("SELECT distance / delay AS r FROM events WHERE origin = 'LAX'", &["null"]);
    check("SELECT tags[0] AS t, tags[5] AS u FROM events WHERE delay = 181", &["a | null"]);
    check("SELECT CAST('x' AS INT) AS n, delay AS d, d + 1 AS e FROM events WHERE delay = 20", &["null | 20 | 21"]);
}

#[test]
fn groups_fold() {
    check(
        "SELECT origin, count(*) AS n, sum(delay) AS total, avg(delay) AS mean FROM events GROUP BY origin",
        &["BOS | 2 | 31 | 15.5", "JFK | 3 | 15 | 7.5", "LAX | 1 | 0 | 0.0", "SFO | 3 | 261 | 87.0"],
    );
    check("SELECT count(*) AS n FROM events", &["9"]);
    check("SELECT origin FROM events GROUP BY origin HAVING count(*) > 2", &["JFK", "SFO"]);
    check("SELECT DISTINCT origin FROM events WHERE delay > 10", &["BOS", "JFK", "SFO"]);
    check(
        "SELECT upper(origin) AS o, max(delay) - min(delay) AS spread FROM events GROUP BY 1 HAVING spread > 20",
        &["JFK | 25", "SFO | 141"],
    );
    check("SELECT count(*) FILTER (WHERE delay > 15) AS late, count(delay) AS known FROM events", &["5 | 8"]);
}

#[test]
fn tables_join() {
    check(
        "SELECT a.city, count(*) AS n FROM events e JOIN airports a ON e.destination = a.iata GROUP BY a.city",
        &["Boston | 2", "Los Angeles | 1", "New York | 3", "San Francisco | 2"],
    );
    check(
        "SELECT destination, a.city FROM events e LEFT JOIN airports a ON e.destination = a.iata WHERE delay = 16",
        &["ORD | null"],
    );
    check("SELECT e.destination FROM events e LEFT ANTI JOIN airports a ON e.destination = a.iata", &["ORD"]);
    check("SELECT count(*) AS n FROM events e LEFT SEMI JOIN airports a ON e.destination = a.iata", &["8"]);
}

#[test]
fn windows_group() {
    check(
        "SELECT window.start AS s, origin, count(*) AS n FROM events GROUP BY window(date, '1 hour'), origin HAVING n > 1",
        &["2001-01-01T00:00:00Z | JFK | 2", "2001-01-01T01:00:00Z | SFO | 2", "2001-01-01T03:00:00Z | BOS | 2"],
    );
    check(
        "SELECT window(date, '2 hours', '1 hour') AS w, count(*) AS n FROM events WHERE origin = 'LAX' GROUP BY 1",
        &[
            "{start: 2001-01-01T00:00:00Z, end: 2001-01-01T02:00:00Z} | 1",
            "{start: 2001-01-01T01:00:00Z, end: 2001-01-01T03:00:00Z} | 1",
        ],
    );
    check(
        "SELECT session_window.start, session_window.end, count(*) AS n FROM events GROUP BY session_window(date, '30 minutes')",
        &[
            "2001-01-01T00:10:00Z | 2001-01-01T00:40:00Z | 1",
            "2001-01-01T00:50:00Z | 2001-01-01T01:55:00Z | 4",
            "2001-01-01T01:59:59Z | 2001-01-01T02:30:00Z | 2",
            "2001-01-01T03:30:00Z | 2001-01-01T04:00:00Z | 2",
        ],
    );
}

#[test]
fn values_are_kept_one_by_one() {
    check(
        "SELECT origin, count(DISTINCT destination) AS n FROM events GROUP BY origin",
        &["BOS | 2", "JFK | 2", "LAX | 1", "SFO | 2"],
    );
    check("SELECT count(DISTINCT origin, distance) AS n FROM events", &["6"]);
    check(
        "SELECT sum(DISTINCT delay) AS s, percentile(delay, 0.5) AS p, median(delay) AS m FROM events",
        &["267 | 18.0 | 18.0"],
    );
    check(
        "SELECT window.start AS s, collect_list(delay) AS l, collect_set(origin) AS o FROM events GROUP BY window(date, '1 hour')",
        &[
            "2001-01-01T00:00:00Z | [20, -5] | [JFK]",
            "2001-01-01T01:00:00Z | [40, 40, 0] | [JFK, SFO, LAX]",
            "2001-01-01T02:00:00Z | [181] | [SFO]",
            "2001-01-01T03:00:00Z | [15, 16] | [BOS]",
        ],
    );
}

#[test]
fn top_n_is_ordered() {
    check(
        "SELECT origin, count(*) AS n FROM events GROUP BY origin ORDER BY n DESC, origin LIMIT 2",
        &["JFK | 3", "SFO | 3"],
    );
    check("SELECT origin FROM events GROUP BY origin ORDER BY max(delay) LIMIT 2 OFFSET 1", &["BOS", "JFK"]);
}

#[test]
fn generators_and_unions_make_rows() {
    check(
        "SELECT tag, count(*) AS n FROM events LATERAL VIEW explode(tags) t AS tag GROUP BY tag",
        &["a | 5", "b | 4", "c | 1"],
    );
    check("SELECT pos, col FROM events LATERAL VIEW posexplode(tags) t WHERE delay = 20", &["0 | a", "1 | b"]);
    check(
        "SELECT origin, tag FROM events LATERAL VIEW OUTER explode(tags) t AS tag WHERE delay <= 0",
        &["JFK | null", "LAX | null"],
    );
    check(
        "SELECT airport, count(*) AS n FROM (SELECT origin AS airport FROM events UNION ALL SELECT destination FROM events) GROUP BY airport",
        &["BOS | 4", "JFK | 6", "LAX | 2", "ORD | 1", "SFO | 5"],
    );
}

#[test]
fn grouping_sets_expand() {
    check(
        "SELECT origin, destination, count(*) AS n, grouping_id() AS g FROM events WHERE delay > 20 GROUP BY ROLLUP (origin, destination)",
        &["SFO | JFK | 2 | 0", "SFO | LAX | 1 | 0", "SFO | null | 3 | 1", "null | null | 3 | 3"],
    );
}

#[test]
fn subqueries_read_groups() {
    check(
        "WITH g AS (SELECT origin, count(*) AS n FROM events GROUP BY origin) SELECT origin, n * 10 AS m FROM g WHERE n < 3",
        &["BOS | 20", "LAX | 10"],
    );
}

#[test]
fn late_rows_are_left_out_of_closed_windows() {
    // The event of 03:30 comes first: an hour of lateness closes what ended by 02:30.
    let events = reordered(&flights(), &[7, 0, 3, 6, 8]);
    let query = compile("SELECT window.start AS s, count(*) AS n FROM events GROUP BY window(date, '1 hour')");
    for cuts in CUTS {
        let outcome = run(&query, &events, cuts, Some(3_600_000_000));
        assert_eq!(outcome.rows, ["2001-01-01T02:00:00Z | 1", "2001-01-01T03:00:00Z | 2"]);
        assert_eq!((outcome.selected, outcome.late), (3, 2));
    }
}

#[test]
fn sessions_do_not_reopen() {
    let events = reordered(&flights(), &[2, 5, 6, 4, 3]);
    let query = compile(
        "SELECT session_window.start, session_window.end, count(*) AS n FROM events GROUP BY session_window(date, '30 minutes')",
    );
    let one = run(&query, &events, &[1], Some(1_800_000_000));
    for cuts in CUTS {
        let outcome = run(&query, &events, cuts, Some(1_800_000_000));
        assert_eq!((&outcome.rows, outcome.late), (&one.rows, one.late));
    }
}
