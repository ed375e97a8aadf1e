-- dataset: flights

-- query: inner_join
SELECT a.city, count(*) AS flights, avg(e.delay) AS mean_delay, percentile_approx(e.delay, 0.95) AS p95_delay
FROM events e JOIN airports a ON e.origin = a.iata GROUP BY a.city;

-- query: left_join
SELECT e.date, e.origin, e.destination, a.name, a.state FROM events e LEFT JOIN airports a ON e.destination = a.iata AND a.state = 'CA' WHERE e.delay > 200;

-- query: left_outer_anti_by_null
SELECT e.origin, count(*) AS flights FROM events e LEFT OUTER JOIN airports a ON e.origin = a.iata AND a.latitude > 40 WHERE a.iata IS NULL GROUP BY e.origin;

-- query: two_joins
SELECT o.state AS from_state, d.state AS to_state, count(*) AS flights, sum(e.distance) AS miles
FROM events e JOIN airports o ON e.origin = o.iata JOIN airports d ON e.destination = d.iata GROUP BY o.state, d.state;

-- query: join_with_filter
SELECT e.date, e.origin, a.city, round(a.latitude, 2) AS latitude FROM events e INNER JOIN airports a ON e.origin = a.iata WHERE a.longitude < -120 AND e.delay > 250;

-- query: join_with_inequality
SELECT e.origin, count(*) AS pairs FROM events e JOIN airports a ON e.origin = a.iata AND e.delay > a.latitude GROUP BY e.origin;

-- query: join_using
SELECT iata, city, flights_delay FROM (SELECT origin AS iata, delay AS flights_delay FROM events WHERE delay > 300) AS e JOIN airports USING (iata);

-- query: join_on_subquery
SELECT w.state, count(*) AS flights FROM events e JOIN (SELECT iata, state FROM airports WHERE longitude < -115) AS w ON e.destination = w.iata GROUP BY w.state;

-- query: join_on_expression
SELECT e.origin, a.city, e.delay FROM events e JOIN airports a ON lower(e.origin) = lower(a.iata) AND a.country = 'USA' WHERE e.delay > 320;

-- query: semi_join
SELECT e.origin, count(*) AS flights FROM events e LEFT SEMI JOIN airports a ON e.origin = a.iata AND a.state = 'TX' GROUP BY e.origin;

-- query: anti_join
SELECT e.origin, count(*) AS flights FROM events e LEFT ANTI JOIN airports a ON e.origin = a.iata AND a.latitude > 35 GROUP BY e.origin;

-- query: window_of_a_join
SELECT window(e.date, '1 day').start AS day, a.state, count(*) AS flights, avg(e.delay) AS delay FROM events e JOIN airports a ON e.origin = a.iata WHERE a.state IN ('CA', 'NY', 'HI') GROUP BY window(e.date, '1 day'), a.state;

-- query: using_comes_first
SELECT * FROM events e JOIN (SELECT city AS place, iata AS origin, state FROM airports) a USING (origin) WHERE e.delay > 300;

-- query: natural_join_of_all
SELECT * FROM events NATURAL LEFT JOIN (SELECT city, iata AS destination FROM airports) WHERE delay > 300;
