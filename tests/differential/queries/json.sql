-- dataset: ragged

-- query: paths
SELECT id, get_json_object(doc, '$.a') AS a, get_json_object(doc, '$.b.c[0]') AS first, get_json_object(doc, '$.b.c[2].d') AS deep, get_json_object(doc, '$.b') AS object, get_json_object(doc, '$.e') AS nothing, get_json_object(doc, '$[1]') AS second, get_json_object(doc, '$.b.c[*]') AS wild, get_json_object(doc, "$['h.i']") AS quoted, get_json_object(doc, '$') AS whole FROM events WHERE NOT doc <=> '{"a": "text", "a": 2}';

-- query: from_json
SELECT id, from_json(doc, 'a INT, g BOOLEAN, f DOUBLE, day DATE') AS parsed, from_json(doc, 'b STRUCT<c: ARRAY<STRING>>').b.c AS texts, from_json('[1, 2, null]', 'ARRAY<INT>') AS array, from_json('{"x": 1}', 'MAP<STRING, INT>') AS map FROM events;

-- query: from_json_decimals
SELECT id, from_json('{"a":"19.99","b":"1,234.567","c":" 1","d":"1e2","e":"x","f":"1234.5"}', 'a DECIMAL(5,2), b DECIMAL(8,2), c DECIMAL(5,2), d DECIMAL(5,2), e DECIMAL(5,2), f DECIMAL(5,2)') AS parsed FROM events WHERE id < 3;

-- query: from_json_then
SELECT parsed.a AS a, count(*) AS events, sum(parsed.f) AS total FROM (SELECT from_json(doc, 'a INT, f DOUBLE') AS parsed FROM events) AS p GROUP BY parsed.a;

-- query: to_json
SELECT id, to_json(user) AS user, to_json(items) AS items, to_json(counts) AS counts, to_json(named_struct('n', n, 'd', day, 'flag', flag, 'amount', amount)) AS mixed, to_json(nums) AS nums FROM events;

-- query: to_json_times
SELECT id, to_json(named_struct('at', at, 'wall', wall, 'bin', bin)) AS times FROM events;

-- query: shapes
SELECT id, json_array_length(doc) AS length, json_object_keys(doc) AS keys FROM events WHERE NOT doc <=> '{"a": "text", "a": 2}';

-- query: tuples
SELECT id, json_tuple(doc, 'a', 'f', 'h.i') AS (a, f, dotted) FROM events WHERE NOT doc <=> '{"a": "text", "a": 2}';
