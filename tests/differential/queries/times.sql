-- dataset: ragged

-- query: parts
SELECT id, year(at) AS year, quarter(at) AS quarter, month(at) AS month, day(at) AS day, dayofmonth(at) AS dayofmonth, dayofweek(at) AS dayofweek, weekday(at) AS weekday, dayofyear(at) AS dayofyear, weekofyear(day) AS weekofyear, hour(at) AS hour, minute(at) AS minute, second(at) AS second, dayname(at) AS dayname, monthname(day) AS monthname FROM events;

-- query: parts_of_dates
SELECT id, year(day) AS year, month(day) AS month, dayofyear(day) AS dayofyear, weekofyear(day) AS week, dayofweek(day) AS weekday, hour(wall) AS hour, year('2024-05-06') AS text_year FROM events;

-- query: extract
SELECT id, extract(YEAR FROM at) AS year, extract(WEEK FROM day) AS week, extract(DOW FROM at) AS dow, extract(SECOND FROM at) AS second, date_part('MONTH', at) AS month, datepart('hour', at) AS hour, extract(DOY FROM day) AS doy, extract(YEAROFWEEK FROM day) AS yearofweek FROM events;

-- query: truncation
SELECT id, date_trunc('YEAR', at) AS year, date_trunc('quarter', at) AS quarter, date_trunc('month', at) AS month, date_trunc('week', at) AS week, date_trunc('DAY', at) AS day, date_trunc('HOUR', at) AS hour, date_trunc('MINUTE', at) AS minute, date_trunc('SECOND', at) AS second, trunc(day, 'MM') AS first_of_month, trunc(day, 'year') AS first_of_year, trunc(day, 'WEEK') AS monday FROM events;

-- query: formats
SELECT id, date_format(at, 'yyyy-MM-dd HH:mm:ss.SSS') AS iso, date_format(at, 'dd/MM/yy hh:mm a') AS local, date_format(at, 'EEE, d MMM yyyy') AS short, date_format(at, 'EEEE MMMM') AS long, date_format(day, 'yyyyMMdd') AS compact, date_format(at, "yyyy-MM-dd'T'HH:mm:ssXXX") AS quoted, date_format(at, 'D Q H k K h') AS numbers, date_format(at, 'SSSSSS') AS micros FROM events;

-- query: parsing
SELECT id, to_timestamp(stamp) AS plain, to_timestamp(stamp, 'yyyy-MM-dd HH:mm:ss') AS patterned, to_timestamp(stamp, 'dd/MM/yyyy HH:mm') AS european, to_date(stamp) AS date, to_date(stamp, 'yyyy-MM-dd') AS date_patterned, to_timestamp_ntz(stamp) AS ntz, try_to_timestamp(stamp, 'dd/MM/yyyy HH:mm') AS lenient, to_timestamp_ltz(stamp) AS ltz FROM events;

-- query: unix_times
SELECT id, unix_timestamp(at) AS seconds, unix_timestamp(stamp, 'dd/MM/yyyy HH:mm') AS parsed, to_unix_timestamp(stamp, 'yyyy-MM-dd HH:mm:ss') AS parsed_too, from_unixtime(n) AS text, from_unixtime(n, 'yyyy/MM/dd') AS formatted, unix_seconds(at) AS unix_seconds, unix_millis(at) AS unix_millis, unix_micros(at) AS unix_micros, unix_date(day) AS unix_date, timestamp_seconds(n) AS from_seconds, timestamp_millis(big) AS from_millis, timestamp_micros(big) AS from_micros, date_from_unix_date(small) AS from_days FROM events WHERE big BETWEEN 0 AND 1e12;

-- query: adding
SELECT id, date_add(day, 10) AS date_add, date_sub(day, small % 100) AS date_sub, dateadd(day, 3) AS dateadd, add_months(day, 1) AS add_months, add_months(day, -13) AS back, day + 1 AS plus, day - 1 AS minus, last_day(day) AS last_day, next_day(day, 'Mon') AS next_day FROM events;

-- query: differences
SELECT id, datediff(day, DATE '2000-01-01') AS datediff, date_diff(at, day) AS date_diff, months_between(at, day) AS months_between, months_between(day, DATE '2000-02-29', false) AS unrounded, timestampdiff(HOUR, day, at) AS hours, timestampdiff(MONTH, day, at) AS months FROM events;

-- query: intervals
SELECT id, at + INTERVAL '90' MINUTE AS later, at - INTERVAL 2 DAYS AS earlier, at + INTERVAL '1 day 2 hours' AS mixed, day + INTERVAL 1 MONTH AS next_month, at + INTERVAL 1 YEAR AS next_year, wall + INTERVAL 30 SECONDS AS wall, timestampadd(MINUTE, 5, at) AS timestampadd, timestampadd(MONTH, 1, at) AS month_later FROM events;

-- query: zones
SELECT id, current_timezone() AS zone, from_utc_timestamp(at, 'Europe/Paris') AS paris, to_utc_timestamp(at, 'America/New_York') AS from_new_york, from_utc_timestamp(wall, 'Asia/Tokyo') AS tokyo, convert_timezone('UTC', 'Europe/Paris', wall) AS converted FROM events;

-- query: short_zones
SELECT id, from_utc_timestamp(at, 'EST') AS est, from_utc_timestamp(at, 'PST') AS pst, to_utc_timestamp(at, 'IST') AS ist, from_utc_timestamp(at, 'ECT') AS ect, CAST('2020-07-01 12:00:00PST' AS TIMESTAMP) AS written FROM events;

-- query: makers
SELECT id, make_date(2000 + tiny % 20, 1 + abs(small) % 14, 1 + abs(n) % 30) AS make_date, make_timestamp(2024, 2, 1 + abs(small) % 31, 10, 30, 12.5) AS make_timestamp, make_timestamp_ntz(2024, 2, 1 + abs(small) % 31, 10, 30, 12.5) AS ntz, make_date(2023, 2, 29) AS none FROM events;

-- query: of_null_times
SELECT id, date_trunc('nonsense', at) AS unknown, trunc(day, 'nonsense') AS none, next_day(day, 'nope') AS nope, to_date('2024-13-45') AS no_date, last_day(NULL) AS nothing FROM events WHERE id < 20 OR day IS NULL OR at IS NULL;

-- query: by_day
SELECT date_format(at, 'yyyy-MM-dd') AS day, hour(at) AS hour, count(*) AS events, min(at) AS first, max(at) AS last, max(day) AS latest, min(wall) AS earliest FROM events GROUP BY date_format(at, 'yyyy-MM-dd'), hour(at);

-- query: lenient_makers
SELECT id, try_make_timestamp(2024, 2, 1 + abs(small) % 31, 10, 30, 12.5) AS made, make_timestamp_ltz(2024, 2, 3, 4, 5, 6.75) AS ltz FROM events WHERE small IS NOT NULL;

-- query: lenient_dates
SELECT id, try_to_date(stamp, 'yyyy-MM-dd') AS date FROM events;

-- query: seconds_beyond
SELECT id, unix_micros(timestamp_seconds(d * 1e6)) AS micros, unix_micros(timestamp_seconds(f)) AS of_float, timestamp_seconds(sqrt(d)) AS root FROM events WHERE d < 1e14;

-- query: seconds_at_the_end
SELECT id, unix_micros(timestamp_seconds(d * 1e300)) AS micros FROM events WHERE d IS NOT NULL;
