-- dataset: nexmark
-- lateness: 4 seconds

-- query: q0_pass_through
SELECT bid.auction, bid.bidder, bid.price, ts, bid.extra FROM events WHERE event_type = 2 AND bid.price > 50000000;

-- query: q1_currency
SELECT bid.auction, bid.bidder, 0.908 * bid.price AS price, ts FROM events WHERE event_type = 2 AND bid.auction % 7 = 0;

-- query: q2_selection
SELECT bid.auction AS auction, bid.price AS price FROM events WHERE bid.auction % 123 = 0;

-- query: q4_prices_by_category
SELECT auction.category, count(*) AS auctions, avg(auction.initialBid) AS first_price, max(auction.reserve) AS reserve FROM events WHERE event_type = 1 GROUP BY auction.category;

-- query: q5_hot_items
-- emit: final
SELECT window(ts, '10 seconds', '5 seconds') AS w, bid.auction AS auction, count(*) AS bids FROM events WHERE event_type = 2 GROUP BY 1, 2 HAVING count(*) > 20;

-- query: q7_highest_bid
-- emit: final
SELECT window(ts, '10 seconds').end AS at, max(bid.price) AS price, max_by(bid.bidder, struct(bid.price, bid.auction)) AS bidder FROM events WHERE event_type = 2 GROUP BY window(ts, '10 seconds');

-- query: q10_day_and_minute
SELECT bid.auction, date_format(ts, 'yyyy-MM-dd') AS day, date_format(ts, 'HH:mm') AS minute, ts FROM events WHERE event_type = 2 AND bid.price < 120;

-- query: q11_user_sessions
-- emit: final
SELECT bid.bidder AS bidder, count(*) AS bids, session_window.start AS start, session_window.end AS end FROM events WHERE event_type = 2 GROUP BY bid.bidder, session_window(ts, '10 seconds');

-- query: q12_bidder_windows
-- emit: final
SELECT bid.bidder, window(ts, '10 seconds') AS w, count(*) AS bids FROM events WHERE event_type = 2 GROUP BY bid.bidder, window(ts, '10 seconds');

-- query: q13_side_input
SELECT auction.id AS auction, auction.category, c.label, c.parent FROM events e LEFT JOIN categories c ON e.auction.category = c.id WHERE event_type = 1 AND auction.id % 11 = 0;

-- query: q14_calculation
SELECT bid.auction, 0.908 * bid.price AS price,
       CASE WHEN hour(ts) BETWEEN 8 AND 18 THEN 'dayTime' WHEN hour(ts) <= 6 OR hour(ts) >= 20 THEN 'nightTime' ELSE 'otherTime' END AS time,
       length(replace(bid.extra, 'c', '')) AS rest
FROM events WHERE event_type = 2 AND 0.908 * bid.price > 1000000 AND 0.908 * bid.price < 1100000;

-- query: q15_bidding_statistics
SELECT date_format(ts, 'yyyy-MM-dd') AS day, count(*) AS bids, count(*) FILTER (WHERE bid.price < 10000) AS rank1, count(*) FILTER (WHERE bid.price >= 10000 AND bid.price < 1000000) AS rank2,
       count(DISTINCT bid.bidder) AS bidders, count(DISTINCT bid.bidder) FILTER (WHERE bid.price < 10000) AS rank1_bidders, count(DISTINCT bid.auction) AS auctions, count(DISTINCT bid.auction) FILTER (WHERE bid.price >= 1000000) AS rank3_auctions
FROM events WHERE event_type = 2 GROUP BY date_format(ts, 'yyyy-MM-dd');

-- query: q16_channel_statistics
SELECT bid.channel, date_format(ts, 'HH:mm') AS minute, count(*) AS bids, count(DISTINCT bid.bidder) AS bidders, count(DISTINCT bid.auction) AS auctions, max(date_format(ts, 'HH:mm:ss')) AS latest FROM events WHERE event_type = 2 GROUP BY bid.channel, date_format(ts, 'HH:mm') HAVING count(*) > 1;

-- query: q17_auction_statistics
SELECT bid.auction AS auction, date_format(ts, 'yyyy-MM-dd') AS day, count(*) AS bids, count_if(bid.price < 10000) AS cheap, min(bid.price) AS low, max(bid.price) AS high, avg(bid.price) AS mean, sum(bid.price) AS total FROM events WHERE event_type = 2 GROUP BY bid.auction, date_format(ts, 'yyyy-MM-dd');

-- query: q21_channel_id
SELECT bid.auction, bid.bidder, bid.price,
       CASE WHEN lower(bid.channel) = 'apple' THEN '0' WHEN lower(bid.channel) = 'google' THEN '1' WHEN lower(bid.channel) = 'facebook' THEN '2' WHEN lower(bid.channel) = 'baidu' THEN '3'
            ELSE regexp_extract(bid.url, '(&|^)channel_id=([^&]*)', 2) END AS channel_id
FROM events WHERE event_type = 2 AND bid.auction % 19 = 0;

-- query: q22_url_directories
SELECT bid.auction, split(bid.url, '/')[3] AS dir1, split(bid.url, '/')[4] AS dir2, split(bid.url, '/')[5] AS dir3, split(bid.url, '/')[9] AS beyond FROM events WHERE event_type = 2 AND bid.auction % 17 = 0;

-- query: whole_structs
SELECT ts, person, auction FROM events WHERE event_type < 2 AND (person.id % 9 = 0 OR auction.id % 25 = 0);

-- query: emails
SELECT person.id AS id, person.emailAddress AS email, split_part(person.emailAddress, '@', 2) AS domain, regexp_replace(person.creditCard, '(\\d{4}) (\\d{4}) .*', '$2-$1') AS card, person.state FROM events WHERE person IS NOT NULL;

-- query: stars_of_structs
SELECT ts, bid.* FROM events WHERE bid.price > 90000000;
