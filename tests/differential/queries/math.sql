-- dataset: ragged

-- query: arithmetic
SELECT id, n + 1 AS plus, n - small AS minus, n * 3 AS times, d / 4 AS quarter, n / small AS ratio, n % 7 AS modulo, n DIV 5 AS whole, big DIV 0 AS none, small % 0 AS nothing, -d AS opposite, positive(n) AS same, negative(small) AS flipped FROM events;

-- query: overflow_wraps
SELECT id, n + 1 AS next, n * 1000 AS thousand, big + 1 AS big_next, CAST(tiny + tiny AS TINYINT) AS tinies, small * small AS square, abs(n) AS size FROM events;

-- query: mixed_types
SELECT id, n + d AS double, small + big AS long, tiny + f AS float, amount + n AS decimal, amount * rate AS product, amount / rate AS quotient, amount % 7 AS rest, rate + 0.5 AS shifted, amount - rate AS gap, amount * 2.5D AS approximate FROM events;

-- query: decimals
SELECT id, round(amount, 1) AS tenth, round(amount) AS unit, round(amount, -2) AS hundreds, bround(amount, 1) AS banker, ceil(amount) AS up, floor(amount) AS down, abs(amount) AS size, -amount AS opposite, CAST(amount AS INT) AS whole, CAST(amount AS DECIMAL(8, 1)) AS narrow, CAST(rate AS DECIMAL(3, 3)) AS tight, amount > rate AS more FROM events;

-- query: rounding
SELECT id, round(d) AS r, round(d, 1) AS r1, round(n, -1) AS tens, bround(d) AS b, bround(n, -1) AS btens, rint(d) AS rint, ceil(d / 1000) AS ceil, ceiling(d / 1000) AS ceiling, floor(d / 1000) AS floor, ceil(d / 1e9, 2) AS ceil2, floor(d / 1e9, 2) AS floor2 FROM events WHERE abs(d) < 1e9;

-- query: powers
SELECT id, sqrt(d) AS sqrt, cbrt(d) AS cbrt, pow(d / 1000, 2) AS pow, power(2, small % 50) AS power, exp(rate) AS exp, expm1(rate) AS expm1, ln(d) AS ln, log(d) AS log, log(2, d) AS log_2, log10(d) AS log10, log2(d) AS log2, log1p(rate) AS log1p, e() AS e, pi() AS pi FROM events;

-- query: trigonometry
SELECT id, sin(rate) AS sin, cos(rate) AS cos, tan(rate) AS tan, asin(rate / 10) AS asin, acos(rate / 10) AS acos, atan(d) AS atan, atan2(d, rate) AS atan2, sinh(rate) AS sinh, cosh(rate) AS cosh, tanh(rate) AS tanh, cot(rate + 1) AS cot, sec(rate) AS sec, csc(rate + 1) AS csc, degrees(rate) AS degrees, radians(n) AS radians, hypot(rate, 3) AS hypot FROM events;

-- query: inverse_hyperbolic
SELECT id, asinh(rate) AS asinh, acosh(rate + 1) AS acosh, atanh(rate / 10) AS atanh, acosh(rate - 100) AS none FROM events;

-- query: signs
SELECT id, abs(d) AS abs, sign(d) AS sign, signum(small) AS signum, greatest(n, small, 3) AS greatest, least(d, rate, 0.5D) AS least, pmod(n, 7) AS pmod, mod(n, 7) AS mod, pmod(small, -4) AS pmod_negative FROM events;

-- query: integers
SELECT id, factorial(tiny) AS factorial, bin(n) AS bin, hex(n) AS hex, conv(CAST(abs(small) AS STRING), 10, 16) AS conv, conv('ff', 16, 10) AS from_hex, width_bucket(d, 0.0D, 1000.0D, 10) AS bucket FROM events;

-- query: bits
SELECT id, n & 255 AS low, n | 1 AS odd, n ^ 3 AS x, ~n AS inverted, shiftleft(n, 3) AS sl, shiftright(n, 2) AS sr, shiftrightunsigned(n, 2) AS sru, bit_count(n) AS ones, bit_get(n, 3) AS fourth, getbit(n, 0) AS first FROM events;

-- query: lenient_arithmetic
SELECT id, try_add(n, 1) AS add, try_subtract(n, 10) AS sub, try_multiply(n, 1000) AS mul, try_divide(n, small) AS div, try_mod(n, small) AS mod FROM events;

-- query: lenient_decimals
SELECT id, try_add(amount, amount) AS add, try_subtract(amount, rate) AS sub, try_multiply(amount, amount) AS mul, try_divide(amount, 7) AS div, try_add(amount, n) AS add_int, try_multiply(amount, 3) AS mul_int, try_mod(amount, 7) AS try_mod, mod(amount, rate) AS mod, pmod(amount, 7) AS pmod, pmod(-amount, 2.5) AS pmod_negative FROM events;

-- query: not_a_number
SELECT id, isnan(sqrt(d)) AS isnan, nanvl(sqrt(d), -1) AS nanvl, CAST('NaN' AS DOUBLE) > 1e300 AS largest, CAST('Infinity' AS DOUBLE) AS infinite, ln(0) AS none, d / 0 AS nothing FROM events WHERE d IS NOT NULL;

-- query: signed_zeros
SELECT id, CAST(round(d) AS STRING) AS whole, CAST(round(d, 1) AS STRING) AS tenths, CAST(bround(d, 1) AS STRING) AS even, CAST(round(f) AS STRING) AS single FROM events;
