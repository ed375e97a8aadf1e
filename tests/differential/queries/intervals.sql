-- dataset: ragged

-- query: long_intervals
SELECT id, at + INTERVAL 3 HOURS 5 MINUTES AS later, at - INTERVAL 1 DAY 30 SECONDS AS earlier, day + INTERVAL 2 DAYS AS date, day + INTERVAL 1 YEAR 2 MONTHS AS year, day + INTERVAL 24 HOURS AS moment FROM events;

-- query: multiplied_intervals
SELECT id, at + tiny * INTERVAL 1 SECOND AS seconds, at + INTERVAL 1 DAY * 2 AS days, at - INTERVAL 1 HOUR * d / 1000000000 AS hours, at + INTERVAL 1 DAY / 4 AS quarter, at + INTERVAL 1 MINUTE / nullif(small, 0) AS parts, day + tiny * INTERVAL 1 MONTH AS months FROM events WHERE abs(d) < 1e6;

-- query: made_intervals
SELECT id, at + make_interval(0, tiny, 0, 1, 2, 3, 4.5) AS interval, day + make_interval(1, 2) AS date, at + make_dt_interval(tiny, 2, 3, 4.25) AS time, at - make_ym_interval(1, tiny) AS months, day + make_ym_interval(0, tiny) AS date_months, day + make_dt_interval(1) AS moment FROM events;

-- query: interval_differences
SELECT id, at - timestamp'2024-03-01 12:00:00' > INTERVAL 1 HOUR AS later, at - CAST(day AS TIMESTAMP) BETWEEN INTERVAL 0 SECONDS AND INTERVAL 30 DAYS AS near, at - timestamp'2024-03-01 12:00:00' = INTERVAL '0' SECOND AS same, CAST(at - timestamp'2024-03-01 12:00:00' AS STRING) AS text, CAST(day - date'2024-01-01' AS STRING) AS days_text, CAST(day - date'2024-01-01' AS INT) AS days, day + (date'2024-01-10' - date'2024-01-01') AS moved, at + (at - timestamp'2024-03-01 12:00:00') AS twice, make_dt_interval(1) > INTERVAL 23 HOURS AS longer FROM events;

-- query: parts_of_intervals
SELECT id, extract(DAY FROM at - timestamp'2024-03-01 12:00:00') AS day, extract(HOUR FROM at - timestamp'2024-03-01 12:00:00') AS hour, extract(MINUTE FROM at - timestamp'2024-03-01 12:00:00') AS minute, extract(SECOND FROM at - timestamp'2024-03-01 12:00:00') AS second FROM events;

-- query: interval_texts
SELECT id, CAST(INTERVAL 3 HOURS 5 MINUTES AS STRING) AS long, CAST(INTERVAL 1 WEEK AS STRING) AS week, CAST(INTERVAL '1 02:03:04.5' DAY TO SECOND AS STRING) AS time, CAST(INTERVAL '-1-2' YEAR TO MONTH AS STRING) AS months, CAST(INTERVAL 5 MILLISECONDS AS STRING) AS short FROM events WHERE id < 2;

-- query: truncated_seconds
SELECT id, unix_timestamp(timestamp'1969-12-31 23:59:58.5') AS second, unix_seconds(timestamp'1969-12-31 23:59:58.5') AS floor, convert_timezone('Europe/Berlin', wall) AS berlin FROM events WHERE id < 5;

-- query: aggregated_intervals
SELECT name, CAST(sum(at - timestamp'2024-03-01 12:00:00') AS STRING) AS sum, CAST(max(at - timestamp'2024-03-01 12:00:00') AS STRING) AS most, count(DISTINCT at - timestamp'2024-03-01 12:00:00') AS distinct, typeof(max(at - at)) AS type FROM events GROUP BY name;
