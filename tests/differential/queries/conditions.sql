-- dataset: ragged

-- query: nulls
SELECT id, coalesce(name, word, 'none') AS coalesce, ifnull(name, '?') AS ifnull, nvl(n, -1) AS nvl, nvl2(name, 'some', 'none') AS nvl2, nullif(name, 'ann') AS nullif, isnull(name) AS isnull, isnotnull(name) AS isnotnull, name IS NULL AS is_null, name IS NOT NULL AS is_not_null, zeroifnull(n) AS zeroed, nullifzero(small) AS nulled, equal_null(name, word) AS same, name <=> word AS safe FROM events;

-- query: choices
SELECT id, if(n > 10, 'high', 'low') AS choice, CASE WHEN n > 40 THEN 'a' WHEN n > 10 THEN 'b' END AS grade, CASE name WHEN 'ann' THEN 1 WHEN 'bob' THEN 2 ELSE 0 END AS number, decode(name, 'ann', 'A', 'bob', 'B', '-') AS decoded FROM events;

-- query: three_valued_logic
SELECT id, flag AND n > 0 AS both, flag OR n > 0 AS either, NOT flag AS negated, n IN (1, 2, NULL) AS member, n NOT IN (1, 2, NULL) AS stranger, n BETWEEN 0 AND 10 AS between, flag IS TRUE AS yes, flag IS NOT FALSE AS maybe, flag = true AS true_too, n > 5 = flag AS agree FROM events;

-- query: filters_drop_nulls
SELECT id FROM events WHERE NOT (n > 10) AND (flag OR name LIKE 'a%');

-- query: xor_and_comparison
SELECT id, name < word AS less, name >= 'bob' AS at_least, d = -0.0 AS zero, at > TIMESTAMP '2024-02-28 00:00:00' AS later, day <= DATE '2000-02-29' AS early, n > '5' AS text_compared, digits = 7 AS digits_compared FROM events;

-- query: compare_text_with_time
SELECT id, at > '2024-02-28' AS after, day = '2000-01-01' AS exact, at BETWEEN '2024-02-27 23:00:00' AND '2024-02-28 03:00:00' AS night FROM events;

-- query: in_mixed_types
SELECT id, small IN (1, 2.5, 3) AS member, name IN (word, 'eve') AS same FROM events;
