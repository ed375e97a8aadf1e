-- dataset: ragged

-- query: quantified_likes
SELECT id, word NOT LIKE ALL ('%a%', 'Z%') AS neither, word NOT LIKE ANY ('%a%', '%e%') AS not_both, word LIKE ALL ('%a%', '%e%') AS both, word LIKE ANY ('%a%', 'Z%') AS one, word LIKE SOME ('%a%') AS some, word NOT ILIKE ALL ('%A%', 'Z%') AS neither_case, word NOT ILIKE ANY ('%A%', '%E%') AS not_both_case, word NOT LIKE ALL ('%a%', NULL) AS with_null, word NOT LIKE '%a%' AS plain, word NOT RLIKE 'a' AS pattern FROM events;

-- query: precedence_of_joining
SELECT id, n - 3 || 'x' AS minus, 'a' || small + 1 AS plus, n + 1 || tiny * 2 AS product, tiny || small || 'z' AS row FROM events;

-- query: string_literals
SELECT id, '\u00e9' AS unicode, '\U0001F600' AS long, '\101\1\400' AS octal, '\0' AS zero, '\q\%\_\b\n\t\\\'\"' AS escapes, r'a\d\n' AS raw, R"\\" AS raw_double, 'a' 'b' "c" AS side_by_side, 'it''s' AS doubled, "say ""so""" AS quotes, '\u00g' AS none, 'a' || 'b' 'c' AS joined FROM events WHERE id < 3;

-- query: raw_patterns
SELECT id, regexp_extract(digits, r'(\d+)', 1) AS digits, word RLIKE r'^\w+$' AS plain, regexp_replace(word, r"[^\w\s]", '') AS letters FROM events;

-- query: shifts
SELECT id, n << 2 AS up, n >> 1 AS down, n >>> 1 AS unsigned, big >>> 60 AS top, tiny << 3 AS widened, small >> 1 AS small, 1 << 2 + 1 AS after_sums, 6 & 3 << 1 AS before_and, 1 | 2 << 1 ^ 3 AS mixed FROM events;

-- query: numbers_as_truth
SELECT id, n = true AS one, flag = 1 AS yes, flag = 2 AS never, flag <=> n AS same, tiny IS TRUE AS is_true, tiny IS NOT TRUE AS not_true, tiny IS FALSE AS is_false, tiny IS NOT FALSE AS not_false, flag <> 0 AS other, digits IS TRUE AS text FROM events;

-- query: nulls_beside_collections
SELECT id, CASE WHEN flag THEN tags END AS tags, CASE WHEN flag THEN NULL ELSE user END AS user, if(flag, counts, NULL) AS counts, coalesce(NULL, nums) AS nums, array(NULL, nums) AS lists, nvl(NULL, items) AS items, nullif(nums, NULL) AS same FROM events;

-- query: struct_of_fields
SELECT id, struct(user.*, n) AS user, struct(n, name).n AS n FROM events;

-- query: decimal_division
SELECT id, amount DIV rate AS whole, amount DIV 0.03 AS parts, -amount DIV 7 AS sevenths, CAST(99999999999999999999 AS DECIMAL(20, 0)) DIV 3 AS wrapped, big DIV CAST(7 AS DECIMAL(3, 1)) AS exact FROM events;

-- query: binary_parts
SELECT id, substring(bin, 2, 3) AS part, substring(bin FROM 2) AS rest, lpad(bin, 5) AS lpad, rpad(bin, 5, X'00FF') AS rpad, overlay(bin PLACING X'5A' FROM 2) AS overlay, left(bin, 2) AS left, lpad(bin, 6, 'x') AS text FROM events;

-- query: distinct_decimal_means
SELECT name, avg(DISTINCT amount) AS amount, avg(DISTINCT rate) AS rate, avg(DISTINCT CAST(n AS DECIMAL(10, 0))) AS n FROM events GROUP BY name;

-- query: descending_percentiles
SELECT name, percentile_cont(0.25) WITHIN GROUP (ORDER BY n DESC) AS quarter, percentile_cont(array(0.1, 0.5)) WITHIN GROUP (ORDER BY d DESC) AS some FROM events GROUP BY name;

-- query: printed
SELECT id, format_string('%s|%s|%s|%s|%s', n, amount, rate, d, flag) AS plain, format_string('%e|%.3e|%g|%.2f|%,.1f', d, d, d, d, d) AS doubles, format_string('%10s|%-10s|%.2s|%S', word, word, word, word) AS widths, printf('%05d|%,d|%x|%+d|%(d', n, n, small, tiny, n) AS integers, format_string('%h', word) AS hash FROM events;

-- query: url_parts
SELECT id, parse_url(url, 'HOST') AS host, parse_url(url, 'AUTHORITY') AS authority, parse_url(concat('http://H', word, '/a?x=1'), 'HOST') AS mixed, parse_url('http://h/a|b', 'HOST') AS bar, parse_url(digits, 'PATH') AS path, try_parse_url(url, 'QUERY', 'q') AS q FROM events;

-- query: null_values
SELECT id, to_json(map('a', NULL)) AS json, CAST(array(NULL) AS STRING) AS text, format_string('%s %d %b %.2s', NULL, NULL, NULL, NULL) AS printed, base64(repeat(word, 30)) AS lines FROM events;

-- query: casts_of_times
SELECT id, CAST(at AS INT) AS int, CAST(at AS SMALLINT) AS small, CAST(at AS TINYINT) AS tiny, CAST(flag AS TIMESTAMP) AS flag, CAST(day AS INT) AS day, CAST(day AS BOOLEAN) AS day_flag, CAST(day AS DECIMAL(9, 2)) AS day_decimal, CAST(n AS BINARY) AS n, CAST(big AS BINARY) AS big, CAST(f AS DECIMAL(38, 10)) AS f, CAST('.' AS INT) AS point, CAST(d * 1e-200 AS DECIMAL(10, 2)) AS nothing FROM events;

-- query: json_that_does_not_fit
SELECT id, from_json('{"a":-0,"b":1700000000,"c":[1,"2"],"d":{"x":"q"}}', 'a INT, b TIMESTAMP, c ARRAY<INT>, d STRUCT<x: INT>') AS parts, from_json('[1,"2"]', 'array<int>') AS list, to_json(map('a', NULL, 'b', n)) AS map FROM events;

-- query: charsets
SELECT id, encode(word, 'UTF-16') AS utf16, decode(encode(word, 'UTF-16LE'), 'UTF-16LE') AS back, encode(word, 'UTF-32') AS utf32 FROM events;

-- query: patterns_of_java
SELECT id, regexp_replace(word, '\\h', '_') AS spaces, word RLIKE '\\w' AS ascii, regexp_replace(word, '[[:alpha:]]', '_') AS characters, regexp_replace(word, '\\p{Punct}', '_') AS punctuation, regexp_replace('a.b', '\\Q.\\E', '_') AS quoted, regexp_extract_all(list, '([a-z]*)', 1) AS empty_ones, split(list, ',*') AS parts, regexp_count(list, 'x*') AS count, '\u00a0' RLIKE '\\s' AS space, regexp_replace('a\r\nb\n', '\\R', '_') AS breaks, regexp_replace('x\ty z', '\\v|\\h', '-') AS blanks, regexp_replace('a_b-c', '[\\W_]', '.') AS classes, regexp_replace('aBc', '\\p{Lower}|[\\d]', '_') AS lower, '٣' RLIKE '\\d' AS digit FROM events WHERE word IS NULL OR length(word) = octet_length(word);
