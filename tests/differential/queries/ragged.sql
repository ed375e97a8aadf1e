-- dataset: ragged
-- lateness: 2 minutes

-- query: raw
SELECT * FROM events;

-- query: aggregates_of_nulls
SELECT name, count(*) AS events, count(n) AS ns, count(n, small) AS pairs, sum(n) AS sum, avg(n) AS mean, min(word) AS least, max(word) AS most, sum(small) AS smalls, sum(tiny) AS tinies, avg(small) AS small_mean, count_if(flag) AS flags, count(DISTINCT n) AS distinct, bool_and(flag) AS all_flags, bool_or(flag) AS any_flag FROM events GROUP BY name;

-- query: decimal_aggregates
SELECT name, sum(amount) AS sum, avg(amount) AS mean, min(amount) AS least, max(rate) AS most, sum(amount * rate) AS product, sum(DISTINCT rate) AS rates, max(amount) - min(amount) AS spread FROM events GROUP BY name;

-- query: float_aggregates
SELECT flag, sum(f) AS sum, avg(f) AS mean, min(f) AS least, max(d) AS most, stddev(d) AS stddev, var_pop(f) AS variance FROM events WHERE abs(f) < 1e9 AND abs(d) < 1e9 GROUP BY flag;

-- query: time_aggregates
SELECT name, min(at) AS first, max(at) AS last, min(day) AS first_day, max(wall) AS last_wall, count(DISTINCT day) AS days, max(bin) AS bin FROM events GROUP BY name;

-- query: first_and_last
SELECT name, first(n) AS first, first(n, true) AS first_known, last(n) AS last, last(n, true) AS last_known, first_value(word, true) AS first_word, any_value(n, true) IS NULL AS none, first(n) IGNORE NULLS AS ignoring FROM events GROUP BY name;

-- query: by_order
SELECT name, max_by(id, n) AS most, min_by(word, id) AS least, max_by(day, at) AS latest FROM (SELECT name, id, day, at, word, n * 10000L + id AS n FROM events WHERE at > TIMESTAMP '2024-02-27' AND n IS NOT NULL) AS e GROUP BY name;

-- query: lists_and_sets
-- limit: 100000
SELECT name, sort_array(collect_list(n)) AS list, sort_array(collect_set(word)) AS set, sort_array(array_agg(DISTINCT small)) AS distinct, size(collect_list(day)) AS days, sort_array(collect_list(struct(id, n))) AS structs FROM events GROUP BY name;

-- query: percentiles_of_nulls
SELECT name, percentile(n, 0.3) AS p30, percentile(d, 0.5) AS middle, median(small) AS median, percentile_approx(n, 0.5) AS approx, percentile_approx(amount, 0.9) AS decimal, percentile_approx(d, array(0.1, 0.5, 0.9), 10000) AS many FROM events GROUP BY name;

-- query: modes_of_nulls
SELECT name, mode(kind) AS mode FROM (SELECT name, CASE WHEN id % 10 < 7 THEN word END AS kind FROM events WHERE word = 'alpha' OR id % 10 = 8) AS e GROUP BY name;

-- query: distinct_counts_of_nulls
SELECT flag, count(DISTINCT name) AS names, count(DISTINCT name, n) AS pairs, count(DISTINCT tags) AS lists, count(DISTINCT user.address.zip) AS zips, avg(DISTINCT small) AS smalls, count(DISTINCT d) AS doubles FROM events GROUP BY flag;

-- query: distinct_estimates
-- approximate: words 0.06
-- approximate: ids 0.06
SELECT flag, approx_count_distinct(word) AS words, approx_count_distinct(id) AS ids FROM events GROUP BY flag;

-- query: windows_of_nulls
-- emit: final
SELECT window(at, '10 minutes') AS w, name, count(*) AS events, sum(n) AS sum, min(d) AS least FROM events GROUP BY window(at, '10 minutes'), name;

-- query: sliding_of_nulls
-- emit: final
SELECT window(at, '10 minutes', '4 minutes').start AS start, count(DISTINCT name) AS names, sort_array(collect_list(tiny)) AS tinies, max_by(id, at) IS NULL AS none FROM events GROUP BY window(at, '10 minutes', '4 minutes');

-- query: sessions_of_nulls
-- emit: final
SELECT session_window(at, '5 minutes') AS session, flag, count(*) AS events, first(id) AS first_id, last(id) AS last_id FROM events GROUP BY session_window(at, '5 minutes'), flag;

-- query: exact_gap
-- emit: final
SELECT session_window(at, '1 minute').end AS end, count(*) AS events FROM events GROUP BY session_window(at, '1 minute');

-- query: join_on_nulls
SELECT e.id, e.name, p.team, p.level FROM events e LEFT JOIN people p ON e.name = p.name;

-- query: join_null_safe
SELECT p.team, count(*) AS events, sum(e.n) AS sum FROM events e JOIN people p ON e.name <=> p.name AND p.level < 5 GROUP BY p.team;

-- query: windowed_list_of_words
-- emit: final
SELECT window(at, '1 hour').start AS hour, listagg(name, ',') AS names, collect_set(flag) IS NULL AS none, max(length(word)) AS longest FROM events GROUP BY window(at, '1 hour');

-- query: histogram
SELECT width_bucket(d, -1000, 1000, 4) AS bucket, count(*) AS events FROM events WHERE d BETWEEN -1000 AND 1000 GROUP BY width_bucket(d, -1000, 1000, 4);

-- query: extremes_of_odd_numbers
SELECT name, small, CAST(min(x) AS STRING) AS least, CAST(max(x) AS STRING) AS greatest, CAST(CAST(min(CAST(x AS FLOAT)) AS DOUBLE) AS STRING) AS least_float, CAST(CAST(max(CAST(x AS FLOAT)) AS DOUBLE) AS STRING) AS greatest_float, CAST(max(x) FILTER (WHERE NOT isnan(x)) AS STRING) AS greatest_number, CAST(min(x) FILTER (WHERE abs(x) > 1e300) AS STRING) AS least_infinite, min_by(id, struct(x, id)) AS least_id, max_by(id, struct(x, id)) AS greatest_id FROM (SELECT at, name, small, id, CASE WHEN tiny > 9 THEN CAST('Infinity' AS DOUBLE) WHEN tiny < -3 THEN CAST('-Infinity' AS DOUBLE) WHEN tiny > 7 THEN CAST('NaN' AS DOUBLE) WHEN tiny > 5 THEN d ELSE CAST(digits AS DOUBLE) END AS x FROM events) AS odd GROUP BY name, small;

-- query: extremes_of_odd_numbers_by_hour
SELECT window.start AS start, CAST(min(x) AS STRING) AS least, CAST(max(x) AS STRING) AS greatest, CAST(CAST(min(CAST(x AS FLOAT)) AS DOUBLE) AS STRING) AS least_float, CAST(CAST(max(CAST(x AS FLOAT)) AS DOUBLE) AS STRING) AS greatest_float, CAST(max(x) FILTER (WHERE NOT isnan(x)) AS STRING) AS greatest_number, CAST(min(x) FILTER (WHERE abs(x) > 1e300) AS STRING) AS least_infinite, min_by(id, struct(x, id)) AS least_id, max_by(id, struct(x, id)) AS greatest_id FROM (SELECT at, name, small, id, CASE WHEN tiny > 9 THEN CAST('Infinity' AS DOUBLE) WHEN tiny < -3 THEN CAST('-Infinity' AS DOUBLE) WHEN tiny > 7 THEN CAST('NaN' AS DOUBLE) WHEN tiny > 5 THEN d ELSE CAST(digits AS DOUBLE) END AS x FROM events) AS odd GROUP BY window(at, '20 minutes');

-- query: extremes_of_all_odd_numbers
SELECT CAST(min(x) AS STRING) AS least, CAST(max(x) AS STRING) AS greatest, CAST(CAST(min(CAST(x AS FLOAT)) AS DOUBLE) AS STRING) AS least_float, CAST(CAST(max(CAST(x AS FLOAT)) AS DOUBLE) AS STRING) AS greatest_float, CAST(max(x) FILTER (WHERE NOT isnan(x)) AS STRING) AS greatest_number, CAST(min(x) FILTER (WHERE abs(x) > 1e300) AS STRING) AS least_infinite, min_by(id, struct(x, id)) AS least_id, max_by(id, struct(x, id)) AS greatest_id FROM (SELECT at, name, small, id, CASE WHEN tiny > 9 THEN CAST('Infinity' AS DOUBLE) WHEN tiny < -3 THEN CAST('-Infinity' AS DOUBLE) WHEN tiny > 7 THEN CAST('NaN' AS DOUBLE) WHEN tiny > 5 THEN d ELSE CAST(digits AS DOUBLE) END AS x FROM events) AS odd;

-- query: voids
SELECT name, max(NULL) AS most, first(NULL) AS first, count(NULL) AS none, max(assert_true(id >= 0)) AS holds, max(assert_true(true)) AS sure, max(5) AS five, max(abs(-5)) AS also_five, max(2) FILTER (WHERE id > 0) AS two, max(1 + 1) FILTER (WHERE id > 0) AS also_two, count(*) AS events FROM events GROUP BY name;

-- query: void_columns
SELECT id, NULL AS nothing, array(NULL) AS nothings, struct(NULL AS a, id AS b) AS beside FROM events;
