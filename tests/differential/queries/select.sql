-- dataset: flights

-- query: projection
SELECT date, origin, destination, delay, delay * 2 + 1 AS twice, distance / 60 AS hours, delay / 0 AS nothing FROM events WHERE delay > 180;

-- query: stars
SELECT * FROM events WHERE distance > 2500 AND origin = 'HNL';

-- query: star_except
SELECT * EXCEPT (date, distance), distance AS miles FROM events WHERE delay > 400;

-- query: case_insensitive
SELECT DATE, Origin AS FromAirport, e.DELAY AS Minutes, e.destination FROM EVENTS AS e WHERE e.ORIGIN = 'JFK' AND delay >= 100;

-- query: backticks
SELECT `origin` AS `from here`, `destination` AS `to`, delay AS `select` FROM events WHERE delay BETWEEN 300 AND 330;

-- query: predicates
SELECT date, origin, delay FROM events
WHERE origin IN ('JFK', 'LGA', 'EWR') AND destination NOT IN ('BOS', 'DCA') AND delay NOT BETWEEN -20 AND 60 AND origin LIKE '%F_' OR delay > 500;

-- query: case_when
SELECT date, origin, delay,
       CASE WHEN delay > 60 THEN 'very late' WHEN delay > 15 THEN 'late' WHEN delay < 0 THEN 'early' ELSE 'on time' END AS grade,
       CASE origin WHEN 'JFK' THEN 1 WHEN 'LAX' THEN 2 END AS coast
FROM events WHERE distance BETWEEN 2400 AND 2500;

-- query: distinct_routes
SELECT DISTINCT origin, destination FROM events WHERE distance > 1500;

-- query: distinct_expression
SELECT DISTINCT origin, delay > 15 AS late FROM events;

-- query: subquery_in_from
SELECT origin, hour, delay FROM (SELECT origin, hour(date) AS hour, delay FROM events WHERE distance < 200) AS short WHERE delay > 120;

-- query: common_table_expressions
WITH late AS (SELECT * FROM events WHERE delay > 60),
     far AS (SELECT origin, destination, delay, distance FROM late WHERE distance > 2000)
SELECT origin, count(*) AS flights, max(delay) AS worst FROM far GROUP BY origin;

-- query: union_all
SELECT origin AS airport, 'out' AS way, delay FROM events WHERE delay > 300
UNION ALL
SELECT destination, 'in', delay FROM events WHERE delay > 300;

-- query: union_all_grouped
SELECT airport, count(*) AS movements, sum(late) AS late
FROM (SELECT origin AS airport, CASE WHEN delay > 15 THEN 1 ELSE 0 END AS late FROM events
      UNION ALL SELECT destination, 0 FROM events) AS movements
GROUP BY airport;

-- query: lateral_alias
SELECT origin, delay AS minutes, minutes / 60 AS hours, hours / 24 AS days FROM events WHERE delay > 350;

-- query: comments_and_literals
SELECT origin, -- to the end of the line
       1 AS one, 1L AS long, 1S AS short, 1Y AS tiny, 1.5 AS decimal, 1.5D AS double, 2.5F AS float, 1e3 AS exponent, 1.25BD AS big,
       'it''s' AS quoted, "double" AS text, 'tab\tbed' AS escaped, true AS yes, NULL AS nothing, DATE '2024-02-29' AS day,
       TIMESTAMP '2024-02-29 12:00:00' AS moment, X'4D61' AS bytes
       /* and a block */ FROM events WHERE delay > 500;

-- query: null_safe
SELECT date, delay, origin <=> 'JFK' AS jfk, NULL <=> delay AS never, delay <> 3 AS other, delay != 3 AS other_too, NOT (delay > 0) AS early, delay == 500 AS exact FROM events WHERE delay > 480;

-- query: operators
SELECT date, delay, delay % 7 AS modulo, delay DIV 7 AS whole, -delay AS opposite, +delay AS same, delay & 12 AS both, delay | 12 AS either, delay ^ 12 AS differ, ~delay AS inverted,
       origin || '-' || destination AS route, delay::string AS text, delay::double / 3 AS third, 7 / 2 AS half
FROM events WHERE distance > 2600;
