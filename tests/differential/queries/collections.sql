-- dataset: ragged

-- query: access
SELECT id, user.name AS name, user.address.city AS city, tags[0] AS first_tag, tags[9] AS beyond, nums[n] AS by_column, items[0].sku AS sku, items[1].price AS price, attrs['color'] AS color, counts['x'] AS x, matrix[0][1] AS cell, items.sku AS skus, items.qty AS quantities FROM events;

-- query: element_access
SELECT id, element_at(tags, 1) AS first, element_at(tags, -1) AS last, element_at(nums, 9) AS beyond, element_at(counts, 'x') AS x, try_element_at(nums, 2) AS second, get(nums, 1) AS get, get(nums, -1) AS get_negative, elt(1, name) AS one FROM events;

-- query: sizes
SELECT id, size(tags) AS tags, size(counts) AS counts, cardinality(nums) AS cardinality, array_size(nums) AS array_size, size(matrix) AS matrix, array_max(nums) AS most, array_min(scores) AS least FROM events;

-- query: membership
SELECT id, array_contains(tags, 'red') AS red, array_contains(nums, n) AS has_n, array_position(tags, 'blue') AS position, arrays_overlap(tags, array('red', 'none')) AS overlap, map_contains_key(counts, 'x') AS has_x FROM events;

-- query: array_building
SELECT id, array(n, small, 3) AS array, array(name, word) AS texts, array() AS empty, array_repeat(name, 2) AS repeated, sequence(1, 5) AS sequence, sequence(5, 1, -2) AS down, sequence(day, date_add(day, 2)) AS days, array_append(nums, 7) AS appended, array_prepend(nums, 0) AS prepended, array_insert(nums, 2, 9) AS inserted, concat(nums, array(1)) AS joined, flatten(matrix) AS flat FROM events;

-- query: array_sets
SELECT id, array_distinct(tags) AS distinct, array_union(nums, array(1, 2)) AS union, array_intersect(nums, array(0, 1, 2, 3)) AS intersect, array_except(nums, array(0, 1)) AS except, array_remove(nums, 1) AS removed, array_compact(tags) AS compact FROM events;

-- query: array_order
SELECT id, sort_array(nums) AS up, sort_array(nums, false) AS down, array_sort(nums) AS nulls_last, reverse(nums) AS reversed, slice(nums, 2, 2) AS slice, slice(nums, -2, 2) AS tail, array_join(tags, '+') AS joined, array_join(tags, '+', '?') AS with_nulls, arrays_zip(tags, nums) AS zipped, array_sort(array_compact(nums), (a, b) -> b - a) AS by_lambda FROM events;

-- query: lambdas
SELECT id, transform(nums, x -> x * 2) AS doubled, transform(nums, (x, i) -> x + i) AS indexed, filter(nums, x -> x > 2) AS big, filter(tags, (x, i) -> i % 2 = 0) AS even, exists(nums, x -> x = 3) AS three, forall(nums, x -> x > -5) AS above, aggregate(nums, 0, (a, x) -> a + coalesce(x, 0)) AS sum, aggregate(nums, 0, (a, x) -> a + coalesce(x, 0), a -> a * 10) AS finished, reduce(nums, 1, (a, x) -> a * coalesce(x, 1)) AS product, zip_with(nums, nums, (a, b) -> a * b) AS squares FROM events;

-- query: lambdas_with_columns
SELECT id, transform(items, i -> i.qty * i.price) AS totals, filter(items, i -> i.price > amount / 100) AS dear, transform(nums, x -> x + n) AS shifted, transform(matrix, r -> aggregate(r, 0, (a, x) -> a + coalesce(x, 0))) AS row_sums, transform(tags, t -> upper(t)) AS upper FROM events;

-- query: maps
SELECT id, map_keys(counts) AS keys, map_values(counts) AS values, map_entries(counts) AS entries, map('a', n, 'b', small) AS map, map_from_arrays(array('x', 'y'), array(n, 2)) AS from_arrays, map_from_entries(array(struct('k', n))) AS from_entries, map_concat(map('a', 1), map('b', n)) AS concat, str_to_map(list, ',', '=') AS str_to_map FROM events WHERE list <> ',';

-- query: map_lambdas
SELECT id, map_filter(counts, (k, v) -> v > 5) AS filtered, transform_values(counts, (k, v) -> v * 2) AS doubled, transform_keys(counts, (k, v) -> upper(k)) AS upper, map_zip_with(counts, map('x', 1), (k, a, b) -> coalesce(a, 0) + coalesce(b, 0)) AS zipped FROM events;

-- query: structs
SELECT id, struct(n, name) AS struct, struct(n AS a, upper(name) AS b) AS named, named_struct('x', n, 'y', named_struct('z', day)) AS deep, user.address AS address, named_struct('a', 1).a AS field, user AS whole FROM events;

-- query: compare_nested
SELECT id, nums = array(1, 2) AS same, struct(n, small) > struct(5, 5S) AS greater, greatest(struct(n AS a), struct(5 AS a)) AS most, user = user AS itself FROM events;

-- query: group_by_nested
SELECT tags, user.address.zip AS zip, count(*) AS events, min(struct(n, name)) AS least, max(nums) AS most FROM events GROUP BY tags, user.address.zip;

-- query: group_by_odd_values
SELECT d, flag, day, count(*) AS events, sum(amount) AS amount FROM events GROUP BY d, flag, day;

-- query: distinct_nested
SELECT DISTINCT tags, user.address AS address FROM events;

-- query: explode_select
SELECT id, explode(tags) AS tag FROM events;

-- query: explode_outer_select
SELECT id, explode_outer(nums) AS num FROM events;

-- query: explode_map
SELECT id, explode(counts) AS (key, value) FROM events;

-- query: posexplode_select
SELECT id, posexplode(tags) AS (place, tag) FROM events;

-- query: posexplode_outer_select
SELECT id, posexplode_outer(nums) FROM events;

-- query: inline_select
SELECT id, inline(items) FROM events;

-- query: inline_outer_select
SELECT id, inline_outer(items) AS (a, b, c) FROM events;

-- query: stack_select
SELECT id, stack(2, 'n', n, 'small', CAST(small AS INT)) AS (what, value) FROM events;

-- query: lateral_view
SELECT id, tag, n FROM events LATERAL VIEW explode(tags) t AS tag WHERE tag <> 'red';

-- query: join_lateral
SELECT id, tag FROM events JOIN LATERAL explode(tags) AS t(tag) ON true WHERE tag <> 'red';

-- query: lateral_view_outer
SELECT id, place, num FROM events LATERAL VIEW OUTER posexplode(nums) t AS place, num;

-- query: lateral_view_inline
SELECT id, sku, qty, price FROM events LATERAL VIEW inline(items) i;

-- query: lateral_view_map
SELECT e.id, m.k, m.v FROM events e LATERAL VIEW explode(e.attrs) m AS k, v;

-- query: lateral_view_struct
SELECT id, i.sku, i.qty * i.price AS total FROM events LATERAL VIEW explode(items) t AS i;

-- query: lateral_view_struct_outer
SELECT id, place, i.sku, size(tags) AS tags FROM events LATERAL VIEW OUTER posexplode(items) t AS place, i WHERE id > 2;

-- query: lateral_view_struct_grouped
SELECT i.sku, max(n) AS n, count(*) AS lines FROM events LATERAL VIEW explode(items) t AS i WHERE i.qty > 0 GROUP BY i.sku;

-- query: lateral_views
SELECT id, r, cell FROM events LATERAL VIEW posexplode(matrix) m AS r, line LATERAL VIEW explode(line) c AS cell;

-- query: lateral_view_grouped
SELECT i.sku, count(*) AS lines, sum(i.qty) AS quantity, sum(i.qty * i.price) AS total, avg(i.price) AS mean FROM events LATERAL VIEW inline(items) i GROUP BY i.sku;

-- query: exploded_structs
SELECT item.sku AS sku, max(item.price) AS dearest, count(DISTINCT id) AS events FROM (SELECT id, explode(items) AS item FROM events) AS x GROUP BY item.sku;

-- query: lateral_view_joined
SELECT p.team, t.tag, count(*) AS uses FROM (SELECT name, explode(tags) AS tag FROM events) t JOIN people p ON t.name = p.name GROUP BY p.team, t.tag;

-- query: odd_elements
SELECT id, CAST(greatest(d, sqrt(d)) AS STRING) AS most, CAST(least(sqrt(d), d) AS STRING) AS least, CAST(array_max(array(d, -d, sqrt(d))) AS STRING) AS array_most, CAST(array_min(array(sqrt(d), d, -d)) AS STRING) AS array_least, CAST(sort_array(array(sqrt(d), 1D, d, -d)) AS STRING) AS up, CAST(sort_array(array(sqrt(d), 1D, d, -d), false) AS STRING) AS down, array_contains(array(d), -d) AS has, array_position(array(1D, d), -d) AS position, CAST(array_distinct(array(d, -d)) AS STRING) AS distinct, CAST(array_union(array(d), array(-d)) AS STRING) AS union, CAST(array_intersect(array(d), array(-d)) AS STRING) AS intersect, CAST(array_except(array(d, 1D), array(-d)) AS STRING) AS except, CAST(array_remove(array(d, 1D), -d) AS STRING) AS removed, arrays_overlap(array(d), array(-d)) AS overlap FROM events;

-- query: maps_of_texts
SELECT id, str_to_map(list) AS usual, str_to_map(stamp, '[ T]') AS of_stamp FROM events WHERE list <> ',';
