//! What cannot run, and what to write instead.

use crate::harness::{compile_spec, shown, spec};

const REFUSED: &[&str] = &[
    "SELECT orgin, delai\nFROM events e\nWHERE dat > 3 AND e.dely = 1",
    "SELECT leg.orign FROM events",
    "SELECT a.town FROM events e JOIN airports a ON e.origin = a.iata",
    "SELECT state, iata AS i FROM events e JOIN airports a ON e.origin = a.iata JOIN airports b ON e.destination = b.iata",
    "SELECT * FROM event",
    "SELECT * FROM airports",
    "SELECT",
    "SELECT origin FROM events WHERE (delay > 3",
    "SELECT origin FROM events WHERE origin = 'JFK",
    "SELECT origin, länge FROM events",
    "SELECT 1; SELECT 2",
    "INSERT INTO events VALUES (1)",
    "SELECT uper(origin) FROM events",
    "SELECT origin + tags FROM events",
    "SELECT upper(origin, delay, 3) FROM events",
    "SELECT * FROM events WHERE delay",
    "SELECT * FROM events WHERE count(*) > 1",
    "SELECT CAST(tags AS int) FROM events",
    "SELECT origin AS a, delay AS A FROM events",
    "SELECT date - date AS d FROM events",
    "SELECT origin FROM events ORDER BY 1",
    "SELECT origin FROM events LIMIT 3",
    "SELECT origin, count(*) FROM events GROUP BY origin ORDER BY 2",
    "SELECT origin, count(*) FROM events GROUP BY origin LIMIT 2",
    "SELECT origin FROM (SELECT origin FROM events LIMIT 3)",
    "SELECT e.origin FROM events e JOIN events f ON e.origin = f.origin",
    "SELECT e.origin FROM events e RIGHT JOIN airports a ON e.origin = a.iata",
    "SELECT e.origin FROM events e FULL JOIN airports a ON e.origin = a.iata",
    "SELECT e.origin FROM events e JOIN hourly h ON e.origin = h.origin",
    "SELECT origin FROM totals",
    "SELECT origin, count(*) FROM events",
    "SELECT origin, delay FROM events GROUP BY origin",
    "SELECT origin, row_number() OVER (ORDER BY delay) FROM events",
    "SELECT origin FROM events QUALIFY row_number() OVER (ORDER BY delay) = 1",
    "SELECT sum(count(*)) FROM events",
    "SELECT max(n) FROM (SELECT origin, count(*) AS n FROM events GROUP BY origin)",
    "SELECT DISTINCT count(*) FROM events GROUP BY origin",
    "SELECT n, a.city FROM (SELECT origin, count(*) AS n FROM events GROUP BY origin) g JOIN airports a ON g.origin = a.iata",
    "SELECT rand() FROM events",
    "SELECT current_timestamp() FROM events",
    "SELECT collect_list(origin) FROM events",
    "SELECT * FROM events WHERE origin IN (SELECT iata FROM airports)",
    "SELECT origin FROM events UNION SELECT destination FROM events",
    "SELECT origin FROM events INTERSECT SELECT destination FROM events",
    "SELECT origin FROM events UNION ALL SELECT origin, delay FROM events",
    "SELECT window(delay, '1 hour'), count(*) FROM events GROUP BY 1",
    "SELECT window(date, 'an hour'), count(*) FROM events GROUP BY 1",
    "SELECT window(date, '1 hour', '2 hours'), count(*) FROM events GROUP BY 1",
    "SELECT window(date, '1 hour', '20 minutes') AS w, origin FROM events",
    "SELECT w.start AS s, count(*) FROM (SELECT window(date, '1 hour', '20 minutes') AS w FROM events) GROUP BY 1",
    "SELECT count(*) FROM events WHERE session_window(date, '1 hour').start > date GROUP BY origin",
    "SELECT w, count(*) FROM (SELECT session_window(date, '1 hour') w FROM events UNION ALL SELECT window(date, '1 day') w FROM events) GROUP BY w",
    "SELECT upper(explode(tags)) FROM events",
    "SELECT explode(origin) FROM events",
    "SELECT origin FROM events GROUP BY 4",
    "SELECT regexp_extract(origin, '(?<=a)b', 0) AS a,\n split(origin, '[') AS b FROM events\nWHERE origin RLIKE '('",
    "SELECT regexp_extract(origin, 'a', 2) FROM events",
    "SELECT date_format(date, 'YYYY-ww') AS a, to_date(origin, 'yyyy{') AS b FROM events",
    "SELECT origin, percentile_approx(delay, 2) AS a, percentile_approx(delay, array(0.5, 1.5)) AS b,\n \
     percentile_approx(delay, 0.5, 0) AS c FROM events GROUP BY origin",
    "SELECT CAST(delay AS DECIMAL(50,2)) AS a, CAST(delay AS DECIMAL(3,5)) AS b FROM events",
    "SELECT from_json(origin, 'a INTT') FROM events",
    "SELECT arrow_typeof(origin) AS a, strpos(origin, 'a') AS b, sha256(origin) AS c, version() AS d FROM events",
    "SELECT decimal_mean(delay, 2) FROM events",
    "SELECT origin, approx_median(delay) FROM events GROUP BY origin",
    "SELECT explode(delay) FROM events",
    "SELECT delay.a, tags - delay AS b FROM events",
    "SELECT orgin, `dely`, e.distanc\nFROM events AS e\nLATERAL VIEW explode(e.tag) t AS x\nWHERE x = zz",
    "SELECT tag, upper(orgin) FROM events LATERAL VIEW explode(tagz)",
    "SELECT orgin FROM (SELECT dely, origin AS o FROM events) x WHERE o = destinaton",
    "SELECT e.orgin, g.citi FROM events e JOIN (SELECT iata, citty AS city FROM airports) g ON e.origin = g.iat",
    "WITH a AS (SELECT orgin, delay AS d FROM events) SELECT orgin, dd, d FROM a WHERE dex > 1",
    "WITH a AS (SELECT * FROM event) SELECT anything, a.more, uper(some) FROM a",
    "SELECT e.orgin, a.anything FROM events e JOIN airprots a ON e.origin = a.iata",
    "SELECT e.orgin FROM events e JOIN events f ON e.origin = f.orgin",
    "SELECT f.origin FROM events e",
    "SELECT f.nothing FROM events AS flights JOIN airports ON origin = iata",
    "SELECT CAST(delay AS strng), CAST(delay AS wide) FROM events",
    "SELECT origin FORM events",
    "SELECT origin frm FROM events WHERE",
    "SELECT * FROM daily",
    "SELECT explode(NULL) FROM events",
    "SELECT `a.b`.c, x.y FROM (SELECT delay AS `x.y` FROM events)",
    "SELECT origin, percentile_disc(0.25) WITHIN GROUP (ORDER BY delay DESC) AS p FROM events GROUP BY origin",
    "SELECT to_date(delay) AS a, hash(m) AS b, encode(origin, 'x') AS c, date_part('epoch', date) AS d,\n \
     extract(DAY FROM delay) AS e, unix_timestamp(delay) AS f FROM events",
    "SELECT format_string('%s', tags) AS a, format_string('%d', origin) AS b, printf('%s %s', origin) AS c,\n \
     format_string('%q', 1) AS d FROM events",
    "SELECT date + delay * INTERVAL 1 MONTH AS a, date + 1.5 * INTERVAL 1 MONTH AS b, date + make_interval('x', 1, 2, 3, 4, 5, 6, 7) AS c FROM events",
    "SELECT sum(date - date) AS c, make_interval(1) AS d, array(date - date) AS e FROM events GROUP BY date",
    "SELECT delay < true AS a, delay IN (true) AS b FROM events",
    "SELECT origin FROM (SELECT a.iata AS origin, b.city FROM airports a FULL JOIN airports b USING (iata)) t \
     JOIN events e USING (origin)",
    "WITH a AS (SELECT origin FROM events), A AS (SELECT delay FROM events) SELECT * FROM a",
    "SELECT percentile_approx(DISTINCT delay, 0.5) AS a, corr(DISTINCT delay, distance) AS b, mode(DISTINCT delay) AS c,\n \
     percentile_cont(DISTINCT 0.5) WITHIN GROUP (ORDER BY delay) AS d FROM events GROUP BY origin",
    "SELECT sum(delay) IGNORE NULLS AS a, max_by(origin, delay) IGNORE NULLS AS b FROM events GROUP BY origin",
    "SELECT upper(origin) IGNORE NULLS FROM events",
    "SELECT x FROM events LEFT JOIN UNNEST(tags) AS t(x) ON true",
    "SELECT x FROM events JOIN UNNEST(tags) AS t(x) ON x = origin",
    "SELECT x FROM events RIGHT JOIN LATERAL explode(tags) AS t(x) ON true",
    "SELECT origin FROM events LEFT SEMI JOIN UNNEST(tags) AS t(x) ON x = origin",
    "SELECT origin FROM events JOIN UNNEST(tags) AS t(x) USING (origin)",
    "SELECT * FROM events PIVOT (sum(delay) FOR origin IN ('JFK', 'LAX'))",
    "SELECT * FROM events UNPIVOT (value FOR name IN (delay, distance))",
    "SELECT * FROM events, LATERAL (SELECT delay + 1 AS more)",
    "SELECT * FROM range(10)",
    "SELECT * FROM events, range(10)",
    "SELECT DISTINCT ON (origin) origin, delay FROM events",
    "SELECT origin FROM events SORT BY origin",
    "SELECT origin INTO other FROM events",
    "SELECT CASE END FROM events",
    "SELECT from_utc_timestamp(date, 'Foo/Bar') AS a, convert_timezone('Europe/Pari', 'UTC', date) AS b,\n \
     make_timestamp(2024, 1, 1, 0, 0, 0, 'Mars') AS c FROM events",
    "SELECT DATE '2024-13-01' AS a, TIMESTAMP 'x' AS b FROM events WHERE date > TIMESTAMP '2024-02-30 00:00:00'",
];

#[test]
fn each_refusal_says_where_what_and_what_instead() {
    let text = REFUSED
        .iter()
        .map(|sql| {
            let answer = match compile_spec(&spec(sql)) {
                Ok(_) => "compiles\n".to_owned(),
                Err(findings) => shown(&findings),
            };
            format!("{sql}\n{answer}\n")
        })
        .collect::<Vec<_>>()
        .concat();
    assert!(!text.contains("compiles"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn deep_nesting_is_refused_or_compiled() {
    let deep = format!("SELECT {}1{} AS n FROM events", "(".repeat(5000), ")".repeat(5000));
    assert!(shown(&compile_spec(&spec(&deep)).unwrap_err()).contains("nested too deeply"));
    let long = format!("SELECT count(*) AS n FROM events WHERE {}", vec!["delay > 1"; 200].join(" OR "));
    assert!(compile_spec(&spec(&long)).is_ok());
}
