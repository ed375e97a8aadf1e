-- dataset: ragged

-- query: cases
SELECT id, upper(word) AS upper, ucase(name) AS ucase, lower(word) AS lower, lcase(name) AS lcase, initcap(word) AS initcap, reverse(word) AS reverse FROM events;

-- query: lengths
SELECT id, length(word) AS length, len(word) AS len, char_length(word) AS char_length, character_length(word) AS character_length, octet_length(word) AS octet_length, bit_length(word) AS bit_length, length(bin) AS bytes FROM events;

-- query: trimming
SELECT id, trim(word) AS trim, ltrim(word) AS ltrim, rtrim(word) AS rtrim, btrim(word) AS btrim, trim(BOTH 'a' FROM word) AS both, trim(LEADING 'al' FROM word) AS leading, trim(TRAILING 'a' FROM word) AS trailing, btrim(word, 'ab') AS ends FROM events;

-- query: padding
SELECT id, lpad(name, 6, '*') AS lpad, rpad(name, 6, 'xy') AS rpad, lpad(word, 3) AS cut, rpad(word, 8) AS spaced, repeat(name, 2) AS repeat, space(tiny % 4) AS space FROM events;

-- query: pieces
SELECT id, substring(word, 2, 3) AS substring, substr(word, -3) AS tail, substring(word FROM 2 FOR 2) AS sql_form, left(word, 2) AS left, right(word, 2) AS right, substring(word, 0, 2) AS zero, substring(word, -2, 1) AS inner_one, substring_index(list, ',', 2) AS two, substring_index(list, ',', -1) AS last, split_part(list, ',', 2) AS second, split_part(list, ',', -1) AS part_last FROM events;

-- query: joining
SELECT id, concat(name, '-', word) AS concat, concat_ws('/', name, word, tags) AS concat_ws, name || word AS pipes, concat_ws(',', tags) AS list, concat() AS nothing FROM events;

-- query: searching
SELECT id, instr(word, 'a') AS instr, locate('a', word) AS locate, locate('a', word, 3) AS locate_from, position('a' IN word) AS position, position('a', word, 2) AS position_from, contains(word, 'a') AS contains, startswith(word, 'a') AS startswith, endswith(word, 'a') AS endswith, find_in_set('b', list) AS find_in_set FROM events;

-- query: replacing
SELECT id, replace(word, 'a', 'A') AS replace, replace(word, 'a') AS removed, translate(word, 'abe', 'xy') AS translate, overlay(word PLACING '__' FROM 2 FOR 1) AS overlay, overlay(name, 'Z', 2) AS overlay_call, mask(word) AS mask FROM events;

-- query: patterns
SELECT id, word LIKE '%a%' AS like, word LIKE '_e%' AS under, word LIKE '100\\%%' AS escaped, word LIKE '100!%%' ESCAPE '!' AS escape, word NOT LIKE 'a%' AS not_like, word ILIKE 'ALPHA' AS ilike, word RLIKE '^[a-z]+$' AS rlike, word REGEXP 'm+' AS regexp, name LIKE ANY ('a%', 'b%') AS any_like, name LIKE ALL ('a%', '%n') AS all_like FROM events;

-- query: regular_expressions
SELECT id, regexp_like(word, 'a.*a') AS regexp_like, regexp_extract(word, '([a-z]+) ([a-z]+)', 2) AS extract, regexp_extract(list, '(\\w)=(\\d)') AS first_group, regexp_extract_all(list, '([a-z])=(\\d)', 2) AS extract_all, regexp_replace(word, '[aeiou]', '<$0>') AS replaced, regexp_count(word, 'a') AS count, regexp_instr(word, 'm') AS instr, regexp_substr(word, '[a-z]{3}') AS substr, rlike(word, 'a') AS rlike_call FROM events;

-- query: splitting
SELECT id, split(list, ',') AS split, split(list, ',', 2) AS split_two, split(list, '[,=]') AS by_class, split(word, '') AS letters, split(list, ',')[0] AS first, split(list, '\\Q,\\E') AS quoted, size(split(list, ',')) AS parts FROM events;

-- query: codes
SELECT id, ascii(word) AS ascii, chr(65 + tiny % 20) AS chr, char(97 + tiny % 20) AS char, soundex(name) AS soundex, levenshtein(name, word) AS levenshtein, levenshtein(name, word, 3) AS bounded, luhn_check(digits) AS luhn, elt(2, name, word) AS elt FROM events;

-- query: encoding
SELECT id, base64(binary(word)) AS base64, unbase64('TWFuYWRl') AS unbase64, hex(word) AS hex, unhex('4D61') AS unhex, encode(word, 'UTF-8') AS encode, decode(encode(word, 'UTF-8'), 'UTF-8') AS decode, hex(bin) AS hex_bin, base64(bin) AS base64_bin, to_binary('4D61', 'hex') AS to_binary, try_to_binary('4D6z') AS none FROM events;

-- query: hashes
SELECT id, md5(word) AS md5, sha(word) AS sha, sha1(word) AS sha1, sha2(word, 256) AS sha2, sha2(word, 512) AS sha512, crc32(word) AS crc32, hash(word, n) AS hash, xxhash64(word, n) AS xxhash64, hash(n) AS hash_int, hash(d) AS hash_double, xxhash64(big) AS xx_long, md5(bin) AS md5_bin FROM events;

-- query: hashes_of_other_types
SELECT id, hash(flag, small, day, at) AS hash, xxhash64(flag, tiny, day, at) AS xxhash64, hash(amount) AS hash_decimal, xxhash64(amount) AS xx_decimal FROM events;

-- query: formatting
SELECT id, format_number(d, 2) AS format_number, format_number(n, 0) AS grouped, format_string('%s has %d', name, n) AS format_string, printf('%8.4f|%05d|%x', CAST(rate AS DOUBLE), small, abs(tiny)) AS printf FROM events WHERE abs(d) < 1e12;

-- query: urls
SELECT id, parse_url(url, 'HOST') AS host, parse_url(url, 'PATH') AS path, parse_url(url, 'QUERY') AS query, parse_url(url, 'PROTOCOL') AS protocol, parse_url(url, 'REF') AS ref, parse_url(url, 'QUERY', 'x') AS x, parse_url(url, 'USERINFO') AS userinfo FROM events WHERE url <> 'not a url';

-- query: url_coding
SELECT id, url_encode(word) AS encoded, url_decode(url_encode(word)) AS decoded FROM events;

-- query: repeated_text
SELECT id, find_in_set(name, 'ann,bob,cid') AS place, instr('ann,bob', name) AS at, concat_ws('', reverse(split(name, ''))) AS back FROM events;

-- query: unicode_order
SELECT word, count(*) AS n, min(name) AS least, max(name) AS most FROM events GROUP BY word;

-- query: quoting
SELECT id, quote(word) AS quote, is_valid_utf8(word) AS valid, assert_true(id >= 0) AS nothing FROM events;

-- query: lenient_urls
SELECT id, try_parse_url(url, 'HOST') AS host, try_url_decode(url_encode(url)) AS decoded, try_url_decode('%zz') AS wrong FROM events;
