-- dataset: flights

-- query: unaliased_scalars
SELECT date, delay + 1, delay / 2, upper(origin), concat(origin, '-', destination), -delay, CAST(delay AS STRING), delay > 3, delay IS NULL, NOT (delay > 3),
       CASE WHEN delay > 3 THEN 1 ELSE 0 END, origin = 'JFK', 1, 'text', coalesce(delay, 0), substring(origin, 1, 2), delay IN (1, 2), origin LIKE 'J%', delay BETWEEN 1 AND 3,
       year(date), date_format(date, 'yyyy'), round(delay / 3, 1), if(delay > 3, 'a', 'b'), origin IS NOT NULL, delay * (distance + 2), delay > 3 AND delay < 1000
FROM events WHERE delay > 450;

-- query: unaliased_aggregates
-- approximate: approx_count_distinct(destination) 0.06
SELECT origin, count(*), count(delay), count(DISTINCT destination), sum(delay), avg(delay), min(delay), max(distance), sum(delay + 1), avg(delay) / 2, sum(delay) FILTER (WHERE delay > 0),
       max_by(destination, delay * 10000 + distance), count_if(delay > 15), round(avg(delay), 2), sum(CASE WHEN delay > 15 THEN 1 ELSE 0 END), percentile_approx(delay, 0.5), stddev(delay), approx_count_distinct(destination)
FROM events GROUP BY origin;

-- query: unaliased_window
SELECT window(date, '1 day'), count(*) FROM events GROUP BY window(date, '1 day');

-- query: unaliased_window_fields
SELECT window.start, window.end, count(*) AS flights FROM events GROUP BY window(date, '6 hours');
