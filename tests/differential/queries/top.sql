-- dataset: flights

-- query: busiest
-- ordered
SELECT origin, count(*) AS flights FROM events GROUP BY origin ORDER BY flights DESC, origin LIMIT 10;

-- query: worst_mean
-- ordered
SELECT origin, destination, avg(delay) AS mean, count(*) AS flights FROM events GROUP BY origin, destination HAVING count(*) >= 20 ORDER BY avg(delay) DESC, origin ASC, destination LIMIT 7;

-- query: by_position
-- ordered
SELECT destination, max(distance) AS farthest FROM events GROUP BY destination ORDER BY 2 DESC NULLS LAST, 1 LIMIT 5;

-- query: by_hidden_aggregate
-- ordered
SELECT destination FROM events GROUP BY destination ORDER BY sum(delay) DESC, destination LIMIT 12;
