"""Holds what MongoDB and the results API have of the example against SQL over the same files, run by SQLite.

compare.py MONGODB_URL API_URL FLIGHTS AIRPORTS; ends with a line `N passed, N failed`.
"""

import csv
import json
import math
import sqlite3
import sys
import urllib.request
from datetime import datetime, timezone

import pymongo

mongodb_url, api_url, flights, airports = sys.argv[1:]


def by_sql():
    """Both results, as sorted tuples."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE airports (iata, city)")
    database.execute("CREATE TABLE events (date, delay, origin, destination)")
    with open(airports, encoding="utf-8", newline="") as file:
        rows = [(row["iata"], row["city"]) for row in csv.DictReader(file)]
        database.executemany("INSERT INTO airports VALUES (?, ?)", rows)
    with open(flights, encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    columns = ("date", "delay", "origin", "destination")
    rows = [tuple(event[column] for column in columns) for event in events]
    database.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
    cities = database.execute(
        "SELECT a.city, count(*), avg(e.delay), max(e.delay) FROM events e JOIN airports a ON e.origin = a.iata GROUP BY a.city"
    ).fetchall()
    long_delays = database.execute("SELECT date, origin, destination, delay FROM events WHERE delay > 180").fetchall()
    utc = lambda text: datetime.strptime(text, "%Y/%m/%d %H:%M").replace(tzinfo=timezone.utc)
    return sorted(cities), sorted((utc(date), *rest) for date, *rest in long_delays)


CITY = ("city", "flights", "mean_delay", "worst_delay")
DELAY = ("date", "origin", "destination", "delay")


def of_mongodb():
    with pymongo.MongoClient(mongodb_url, tz_aware=True) as client:
        read = lambda name, fields: [tuple(row[field] for field in fields) for row in client.flights[name].find()]
        return sorted(read("delays_by_city", CITY)), sorted(read("long_delays", DELAY))


def of_api():
    def read(name, fields):
        with urllib.request.urlopen(f"{api_url}/data/{name}?limit=100000") as answer:
            return [tuple(row[field] for field in fields) for row in json.load(answer)]

    long_delays = [(datetime.fromisoformat(date.replace("Z", "+00:00")), *rest) for date, *rest in read("long_delays", DELAY)]
    return sorted(read("delays_by_city", CITY)), sorted(long_delays)


def alike(row, other):
    same = lambda a, b: math.isclose(a, b, rel_tol=1e-12) if isinstance(a, float) else a == b
    return len(row) == len(other) and all(map(same, row, other))


expected = by_sql()
failed = 0
for where, found in (("MongoDB", of_mongodb()), ("the API", of_api())):
    for name, rows, others in zip(("delays_by_city", "long_delays"), expected, found):
        if not rows or len(rows) != len(others) or not all(map(alike, rows, others)):
            failed += 1
            wrong = next(((a, b) for a, b in zip(rows, others) if not alike(a, b)), None)
            print(f"{name}: {len(rows)} rows by SQL, {len(others)} in {where}, the first that differ: {wrong}")
print(f"{4 - failed} passed, {failed} failed")
sys.exit(failed > 0)
