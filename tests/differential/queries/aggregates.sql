-- dataset: flights

-- query: basic
SELECT origin, count(*) AS flights, count(1) AS ones, count(delay) AS delays, sum(delay) AS total, avg(delay) AS mean, mean(distance) AS mean_distance, min(delay) AS least, max(delay) AS most FROM events GROUP BY origin;

-- query: no_group
SELECT count(*) AS flights, sum(delay) AS total, min(date) AS first_date, max(date) AS last_date, avg(distance) AS mean FROM events;

-- query: no_group_empty
SELECT count(*) AS flights, count_if(delay > 0) AS late, coalesce(sum(delay), -1) AS total FROM events WHERE delay > 100000;

-- query: group_by_position
SELECT origin, destination, count(*) AS flights FROM events GROUP BY 1, 2;

-- query: group_by_all
SELECT origin, hour(date) AS hour, count(*) AS flights FROM events GROUP BY ALL;

-- query: group_by_alias
SELECT CASE WHEN distance < 500 THEN 'short' WHEN distance < 1500 THEN 'middle' ELSE 'long' END AS haul, count(*) AS flights, avg(delay) AS delay FROM events GROUP BY haul;

-- query: group_by_expression
SELECT upper(substring(origin, 1, 1)) AS letter, count(*) AS flights, max(distance) - min(distance) AS spread FROM events GROUP BY upper(substring(origin, 1, 1));

-- query: having
SELECT origin, count(*) AS flights, avg(delay) AS delay FROM events GROUP BY origin HAVING count(*) > 300 AND avg(delay) > 5;

-- query: having_alias
SELECT destination, sum(delay) AS total FROM events GROUP BY destination HAVING total < 0;

-- query: expressions_over_aggregates
SELECT origin, sum(delay) / count(*) AS mean, round(100.0 * count_if(delay > 15) / count(*), 2) AS late_share, concat(origin, ':', count(*)) AS label,
       CASE WHEN count(*) > 200 THEN 'big' ELSE 'small' END AS size, greatest(max(delay), 30) AS capped
FROM events GROUP BY origin;

-- query: filters
SELECT origin, count(*) FILTER (WHERE delay > 15) AS late, sum(delay) FILTER (WHERE delay > 0) AS lost, avg(distance) FILTER (WHERE destination = 'LAX') AS to_lax, max(delay) FILTER (WHERE delay < 0) AS nearly FROM events GROUP BY origin;

-- query: sums_of_long_decimals
SELECT origin, sum(CAST(distance AS DECIMAL(38,2)) * CAST(100000000000000000000000000 AS DECIMAL(38,0))) AS long, sum(CAST(-99999999999999999999999999999999999.5 AS DECIMAL(38,1)) * (distance + 1)) AS longer, sum(CAST(distance AS DECIMAL(10,2)) / 3) AS thirds FROM events GROUP BY origin;

-- query: distinct_aggregates
SELECT origin, count(DISTINCT destination) AS destinations, count(DISTINCT destination, distance) AS routes, sum(DISTINCT distance) AS miles, avg(DISTINCT distance) AS mean_miles, count(*) AS flights FROM events GROUP BY origin;

-- query: distinct_percentiles
SELECT origin, median(DISTINCT delay) AS median, median(delay) AS median_of_all, percentile(DISTINCT delay, 0.9) AS p90, percentile(DISTINCT distance, array(0.25, 0.75)) AS quartiles FROM events GROUP BY origin;

-- query: distinct_without_group
SELECT count(DISTINCT origin) AS origins, count(DISTINCT origin, destination) AS routes, count(DISTINCT CASE WHEN delay > 120 THEN origin END) AS troubled FROM events;

-- query: boolean_aggregates
SELECT origin, bool_and(delay < 300) AS bounded, bool_or(delay > 200) AS once, every(distance > 100) AS every_far, some(delay > 250) AS some_late, any(delay < -30) AS any_early, count_if(delay > 15) AS late FROM events GROUP BY origin;

-- query: bit_aggregates
SELECT origin, bit_and(distance) AS all_bits, bit_or(distance) AS any_bits, bit_xor(delay) AS odd_bits FROM events GROUP BY origin;

-- query: spread
SELECT origin, stddev(delay) AS stddev, std(delay) AS std, stddev_samp(delay) AS stddev_samp, stddev_pop(delay) AS stddev_pop, variance(delay) AS variance, var_samp(delay) AS var_samp, var_pop(delay) AS var_pop FROM events GROUP BY origin;

-- query: moments
SELECT origin, skewness(delay) AS skewness, kurtosis(delay) AS kurtosis FROM events GROUP BY origin HAVING count(*) > 20;

-- query: correlation
SELECT origin, corr(delay, distance) AS corr, covar_samp(delay, distance) AS covar_samp, covar_pop(delay, distance) AS covar_pop FROM events GROUP BY origin HAVING count(*) > 20;

-- query: regression
SELECT origin, regr_count(delay, distance) AS n, regr_avgx(delay, distance) AS mean_x, regr_avgy(delay, distance) AS mean_y, regr_slope(delay, distance) AS slope, regr_intercept(delay, distance) AS intercept, regr_r2(delay, distance) AS r2,
       regr_sxx(delay, distance) AS sxx, regr_sxy(delay, distance) AS sxy, regr_syy(delay, distance) AS syy
FROM events GROUP BY origin HAVING count(*) > 20;

-- query: first_last
SELECT origin, first(destination) AS first_out, last(destination) AS last_out, first_value(delay) AS first_delay, last_value(delay) AS last_delay, any_value(origin) AS same FROM events GROUP BY origin;

-- query: extremes_by
SELECT origin, max_by(destination, delay * 10000 + distance) AS latest, min_by(destination, delay * 10000 + distance) AS earliest, max_by(delay, struct(delay, date)) AS worst FROM events WHERE origin IN ('JFK', 'HNL', 'ABQ') GROUP BY origin;

-- query: percentiles
SELECT origin, percentile(delay, 0.5) AS middle, percentile(delay, array(0.25, 0.75)) AS quartiles, median(delay) AS median, percentile_cont(0.9) WITHIN GROUP (ORDER BY delay) AS p90, percentile_disc(0.9) WITHIN GROUP (ORDER BY delay) AS p90_disc FROM events GROUP BY origin;

-- query: approximate_percentiles
SELECT origin, percentile_approx(delay, 0.5) AS middle, percentile_approx(delay, 0.95, 10000) AS p95, approx_percentile(distance, array(0.1, 0.9)) AS tails FROM events GROUP BY origin;

-- query: approximate_distinct
-- approximate: destinations 0.06
-- approximate: coarse 0.25
SELECT origin, approx_count_distinct(destination) AS destinations, approx_count_distinct(distance, 0.1) AS coarse FROM events GROUP BY origin;

-- query: modes
SELECT origin, mode(haul) AS usual FROM (SELECT origin, CASE WHEN distance > 700 THEN 'long' ELSE 'short' END AS haul FROM events) AS h GROUP BY origin HAVING count_if(haul = 'long') <> count_if(haul = 'short');

-- query: lists
-- limit: 100000
SELECT destination, collect_list(origin) AS origins, array_agg(delay) AS delays, sort_array(collect_set(origin)) AS places FROM events WHERE delay > 100 GROUP BY destination;

-- query: list_of_text
-- limit: 100000
SELECT origin, listagg(destination, ',') AS destinations, string_agg(CAST(delay AS STRING), ';') AS delays FROM events WHERE delay > 150 GROUP BY origin;

-- query: lenient_sums
SELECT origin, try_sum(delay) AS total, try_avg(delay) AS mean, sum(CAST(delay AS DOUBLE)) AS floats, sum(CAST(delay AS DECIMAL(10, 2))) AS decimals, avg(CAST(delay AS DECIMAL(10, 2))) AS decimal_mean FROM events GROUP BY origin;

-- query: rollup
SELECT origin, destination, count(*) AS flights, grouping(origin) AS all_origins, grouping_id(origin, destination) AS level FROM events WHERE distance > 2000 GROUP BY ROLLUP (origin, destination);

-- query: with_rollup
SELECT origin, hour(date) AS hour, sum(delay) AS delay FROM events WHERE origin IN ('JFK', 'LAX') GROUP BY origin, hour(date) WITH ROLLUP;

-- query: cube
SELECT origin, destination, count(*) AS flights FROM events WHERE distance > 2200 GROUP BY CUBE (origin, destination);

-- query: grouping_sets
SELECT origin, destination, count(*) AS flights FROM events WHERE distance > 2200 GROUP BY GROUPING SETS ((origin, destination), (origin), ());
