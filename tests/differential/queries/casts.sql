-- dataset: ragged

-- query: text_to_numbers
SELECT id, CAST(digits AS INT) AS int, CAST(digits AS BIGINT) AS long, CAST(digits AS DOUBLE) AS double, CAST(digits AS DECIMAL(10, 3)) AS decimal, CAST(digits AS BOOLEAN) AS boolean, CAST(digits AS SMALLINT) AS short, CAST(digits AS TINYINT) AS byte, CAST(digits AS FLOAT) AS float FROM events;

-- query: numbers_to_text
SELECT id, CAST(n AS STRING) AS n, CAST(amount AS STRING) AS amount, CAST(flag AS STRING) AS flag, CAST(big AS STRING) AS big, CAST(day AS STRING) AS day, CAST(at AS STRING) AS at, CAST(wall AS STRING) AS wall FROM events;

-- query: floats_to_text
SELECT id, CAST(d AS STRING) AS d, CAST(f AS STRING) AS f, concat(d, '') AS joined FROM events;

-- query: numbers_to_numbers
SELECT id, CAST(d AS INT) AS int, CAST(big AS INT) AS low, CAST(n AS TINYINT) AS tiny, CAST(n AS SMALLINT) AS small, CAST(d AS DECIMAL(8, 2)) AS decimal, CAST(n AS DECIMAL(5, 2)) AS narrow, CAST(n AS BOOLEAN) AS boolean, CAST(flag AS INT) AS one, CAST(d AS FLOAT) AS float, CAST(f AS DOUBLE) AS double, CAST(d AS BIGINT) AS long FROM events;

-- query: times
SELECT id, CAST(stamp AS TIMESTAMP) AS moment, CAST(stamp AS DATE) AS date, CAST(at AS DATE) AS day, CAST(day AS TIMESTAMP) AS midnight, CAST(at AS BIGINT) AS seconds, CAST(at AS DOUBLE) AS fraction, CAST(n AS TIMESTAMP) AS from_seconds, CAST(wall AS TIMESTAMP) AS zoned, CAST(at AS TIMESTAMP_NTZ) AS unzoned FROM events;

-- query: cast_functions
SELECT id, int(digits) AS int, bigint(digits) AS bigint, double(digits) AS double, float(digits) AS float, smallint(digits) AS smallint, tinyint(digits) AS tinyint, boolean(digits) AS boolean, string(n) AS string, decimal(digits) AS decimal, date(stamp) AS date, timestamp(stamp) AS timestamp, binary(name) AS binary FROM events;

-- query: double_colon
SELECT id, digits::int AS int, n::string AS text, at::date AS day, '12'::decimal(5, 1) AS decimal FROM events;

-- query: lenient_casts
SELECT id, try_cast(digits AS INT) AS int, try_cast(stamp AS TIMESTAMP) AS moment FROM events;

-- query: implicit
SELECT id, digits + 1 AS sum, digits * n AS product, concat(n, ':', flag, ':', day) AS text, substring(n, 1, 2) AS part, length(n) AS length, upper(flag) AS upper, coalesce(n, 'none') AS mixed, if(flag, 1, 2.5) AS widened FROM events;

-- query: nested_casts
SELECT id, CAST(nums AS ARRAY<STRING>) AS texts, CAST(tags AS ARRAY<INT>) AS ints, CAST(user AS STRUCT<n: STRING, a: BIGINT, c: STRUCT<city: STRING, zip: INT>>) AS renamed, CAST(counts AS MAP<STRING, DOUBLE>) AS doubles FROM events;

-- query: nested_to_text
SELECT id, CAST(nums AS STRING) AS nums, CAST(tags AS STRING) AS tags, CAST(user AS STRING) AS user, CAST(bin AS STRING) AS bin FROM events WHERE id % 3 = 0;

-- query: type_names
SELECT DISTINCT typeof(n) AS n, typeof(amount) AS amount, typeof(user) AS user, typeof(counts) AS counts, typeof(at) AS at, typeof(n / 2) AS quotient, typeof(amount * rate) AS product, typeof(amount + n) AS sum, typeof(1.5) AS literal FROM events;
