-- dataset: flights
-- lateness: 10000 days, 10 minutes

-- query: tumbling
SELECT window(date, '1 hour') AS hour, origin, count(*) AS flights, sum(CASE WHEN delay > 15 THEN 1 ELSE 0 END) AS late FROM events GROUP BY 1, 2;

-- query: tumbling_final
-- emit: final
SELECT window(date, '6 hours') AS quarter, count(*) AS flights, avg(delay) AS mean, min(delay) AS least, max(delay) AS most FROM events GROUP BY window(date, '6 hours');

-- query: start_and_end
-- emit: final
SELECT window.start AS start, window.end AS end, destination, count(DISTINCT origin) AS origins FROM events GROUP BY window(date, '1 day'), destination;

-- query: sliding
SELECT window(date, '2 days', '1 day').start AS start, origin, count(*) AS flights, median(delay) AS median FROM events WHERE origin IN ('JFK', 'LAX', 'ORD') GROUP BY window(date, '2 days', '1 day'), origin;

-- query: sliding_final
-- emit: final
SELECT window(date, '3 hours', '90 minutes') AS w, count(*) AS flights, percentile_approx(delay, 0.9) AS p90 FROM events GROUP BY window(date, '3 hours', '90 minutes');

-- query: shifted
-- emit: final
SELECT window(date, '1 day', '1 day', '5 hours') AS day, count(*) AS flights FROM events GROUP BY window(date, '1 day', '1 day', '5 hours');

-- query: session
SELECT session_window(date, '3 hours') AS session, origin, count(*) AS flights, sum(delay) AS delay FROM events WHERE origin IN ('ABQ', 'HNL', 'JFK', 'BUR') GROUP BY session_window(date, '3 hours'), origin;

-- query: session_final
-- emit: final
SELECT session_window.start AS start, session_window.end AS end, origin, destination, count(*) AS flights, max(delay) AS worst, first(delay) AS first_delay FROM events GROUP BY session_window(date, '12 hours'), origin, destination;

-- query: windows_having
-- emit: final
SELECT window(date, '1 day') AS day, origin, count(*) AS flights FROM events GROUP BY window(date, '1 day'), origin HAVING count(*) > 10;

-- query: windows_lists
-- emit: final
SELECT window(date, '1 day').end AS day, collect_list(delay) AS delays, sort_array(collect_set(origin)) AS origins, mode(delay > 0) AS usual FROM events WHERE destination = 'LAX' AND delay <> 0 GROUP BY window(date, '1 day') HAVING count_if(delay > 0) <> count_if(delay <= 0);

-- query: date_trunc
SELECT date_trunc('DAY', date) AS day, count(*) AS flights FROM events GROUP BY date_trunc('DAY', date);

-- query: top
-- ordered
SELECT window(date, '7 days').start AS week, origin, count(*) AS flights FROM events GROUP BY window(date, '7 days'), origin ORDER BY flights DESC, week, origin LIMIT 15;

-- query: hourly_upstream
-- emit: final
SELECT window(date, '1 hour') AS hour, origin, count(*) AS flights FROM events GROUP BY window(date, '1 hour'), origin;

-- query: of_a_result
-- emit: final
SELECT window(hour.end, '1 day') AS day, max(flights) AS busiest, sum(flights) AS flights FROM hourly_upstream GROUP BY window(hour.end, '1 day');

-- query: filter_of_a_result
SELECT hour.start AS hour, origin, flights FROM hourly_upstream WHERE flights > 5;

-- query: window_time
SELECT window_time(hour) AS time, origin, flights FROM hourly_upstream WHERE flights > 6;

-- query: sliding_in_a_subquery
-- emit: final
SELECT w, origin, count(*) AS flights FROM (SELECT window(date, '6 hours', '2 hours') AS w, origin FROM events WHERE delay > 30) GROUP BY w, origin;

-- query: tumbling_in_a_cte_then_unnested
-- emit: final
WITH hours AS (SELECT window(date, '3 hours') AS w, array(origin, destination) AS ends FROM events), ends AS (SELECT w, e FROM hours LATERAL VIEW explode(ends) t AS e) SELECT w.start AS start, e, count(*) AS n FROM ends GROUP BY w, e HAVING count(*) > 3;

-- query: sessions_in_a_subquery
-- emit: final
SELECT s.w.end AS until, s.origin, count(*) AS flights, max(s.delay) AS delay FROM (SELECT session_window(date, '40 minutes') AS w, origin, delay FROM events WHERE delay > 60) s GROUP BY s.w, s.origin;

-- query: windows_of_rows
SELECT window(date, '1 hour').start AS hour, window(date, '1 hour') AS w, origin FROM events WHERE delay > 300;

-- query: having_an_alias_of_a_columns_name
SELECT origin, count(*) AS delay FROM events GROUP BY origin HAVING delay > 50 AND max(distance) > 100;
