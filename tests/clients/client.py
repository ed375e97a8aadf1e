"""postgrest-py against the results API of the flights example: `python client.py BASE_URL`.

What is expected is computed from the events themselves."""

from __future__ import annotations

import csv
import json
import sys
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from postgrest import SyncPostgrestClient
from postgrest.exceptions import APIError

DATA = Path(__file__).resolve().parents[2] / "examples" / "flights" / "data"
FLIGHTS = [json.loads(line) for line in (DATA / "flights.ndjson").read_text().splitlines()]
LONG = [flight for flight in FLIGHTS if flight["delay"] > 180]


def moment(text: str) -> str:
    """As the results API writes a flight's date."""
    return text.replace("/", "-").replace(" ", "T") + ":00Z"


def keyed(rows: list[dict]) -> list[tuple]:
    return sorted((row["date"], row["origin"], row["destination"], row["delay"]) for row in rows)


EXPECTED = keyed([{**flight, "date": moment(flight["date"])} for flight in LONG])


def all_rows(client: SyncPostgrestClient) -> None:
    answer = client.from_("long_delays").select("*", count="exact").limit(100_000).execute()
    assert keyed(answer.data) == EXPECTED
    assert answer.count == len(LONG)


def filters(client: SyncPostgrestClient) -> None:
    def check(rows: list[dict], keep: Callable[[dict], bool]) -> None:
        expected = sorted((f["origin"], f["delay"]) for f in LONG if keep(f))
        assert expected, "the filter shows nothing"
        assert sorted((row["origin"], row["delay"]) for row in rows) == expected

    table = lambda: client.from_("long_delays").select("origin", "delay").limit(100_000)
    check(table().eq("origin", "JFK").execute().data, lambda f: f["origin"] == "JFK")
    check(table().neq("origin", "JFK").execute().data, lambda f: f["origin"] != "JFK")
    check(table().gt("delay", 300).execute().data, lambda f: f["delay"] > 300)
    check(table().gte("delay", 300).lt("delay", 400).execute().data, lambda f: 300 <= f["delay"] < 400)
    check(table().lte("delay", 200).execute().data, lambda f: f["delay"] <= 200)
    check(table().in_("origin", ["JFK", "LGA"]).execute().data, lambda f: f["origin"] in ("JFK", "LGA"))
    check(table().like("origin", "S%").execute().data, lambda f: f["origin"].startswith("S"))
    check(table().ilike("origin", "s*").execute().data, lambda f: f["origin"].startswith("S"))
    check(table().not_.eq("origin", "ORD").execute().data, lambda f: f["origin"] != "ORD")
    check(table().or_("origin.eq.JFK,and(origin.eq.ORD,delay.gt.200)").execute().data, lambda f: f["origin"] == "JFK" or (f["origin"] == "ORD" and f["delay"] > 200))
    route = {"origin": LONG[0]["origin"], "destination": LONG[0]["destination"]}
    check(table().match(route).execute().data, lambda f: route.items() <= f.items())
    assert table().is_("origin", "null").execute().data == []


def order_and_range(client: SyncPostgrestClient) -> None:
    expected = sorted(LONG, key=lambda f: (-f["delay"], f["date"], f["origin"], f["destination"]))
    query = client.from_("long_delays").select("delay").order("delay", desc=True).order("date").order("origin")
    assert [row["delay"] for row in query.range(5, 14).execute().data] == [f["delay"] for f in expected[5:15]]
    query = client.from_("long_delays").select("delay").order("delay", desc=True, nullsfirst=False)
    assert [row["delay"] for row in query.limit(3).offset(2).execute().data] == [f["delay"] for f in expected[2:5]]


def grouped(client: SyncPostgrestClient) -> None:
    cities = {row["iata"]: row["city"] for row in csv.DictReader((DATA / "airports.csv").open(encoding="utf-8"))}
    delays = defaultdict(list)
    for flight in FLIGHTS:
        if flight["origin"] in cities:
            delays[cities[flight["origin"]]].append(flight["delay"])
    rows = client.from_("delays_by_city").select("*").limit(100_000).execute().data
    assert {row["city"]: row["flights"] for row in rows} == {city: len(values) for city, values in delays.items()}
    for row in rows:
        values = delays[row["city"]]
        assert abs(row["mean_delay"] - sum(values) / len(values)) < 1e-9, row
        assert row["p95_delay"] in values, row


def windows(client: SyncPostgrestClient) -> None:
    hours = Counter((moment(f["date"][:13] + ":00"), f["origin"]) for f in FLIGHTS)
    rows = client.from_("hourly").select("hour->>start", "origin", "flights").limit(100_000).execute().data
    assert {(row["start"], row["origin"]): row["flights"] for row in rows} == hours


def select_with_alias_and_cast(client: SyncPostgrestClient) -> None:
    row = client.from_("long_delays").select("from:origin,minutes:delay::text").eq("delay", LONG[0]["delay"]).limit(1).execute().data[0]
    assert set(row) == {"from", "minutes"} and row["minutes"] == str(LONG[0]["delay"])


def one_row(client: SyncPostgrestClient) -> None:
    row = client.from_("delays_by_city").select("city", "flights").eq("city", "New York").single().execute().data
    assert row["city"] == "New York" and row["flights"] > 0
    assert client.from_("delays_by_city").select("city").eq("city", "Atlantis").maybe_single().execute() is None
    try:
        client.from_("delays_by_city").select("city").single().execute()
    except APIError as error:
        assert error.code == "PGRST116", error
    else:
        raise AssertionError("many rows are not one")


def head_and_count(client: SyncPostgrestClient) -> None:
    answer = client.from_("long_delays").select("*", count="exact", head=True).eq("origin", "ORD").execute()
    assert answer.count == sum(1 for f in LONG if f["origin"] == "ORD") and answer.data == []


def as_csv(client: SyncPostgrestClient) -> None:
    text = client.from_("busiest_routes").select("origin", "destination", "flights").csv().execute().data
    rows = list(csv.DictReader(text.splitlines()))
    routes = Counter((f["origin"], f["destination"]) for f in FLIGHTS)
    expected = sorted(routes.items(), key=lambda item: (-item[1], item[0]))[:10]
    assert [((row["origin"], row["destination"]), int(row["flights"])) for row in rows] == expected


def errors(client: SyncPostgrestClient) -> None:
    for wrong in [lambda: client.from_("long_delays").select("orgin").execute(), lambda: client.from_("nothing").select("*").execute(), lambda: client.from_("long_delays").insert({"origin": "JFK"}).execute(), lambda: client.rpc("f", {}).execute()]:
        try:
            wrong()
        except APIError as error:
            assert error.message and error.code, error
        else:
            raise AssertionError("no error")


def main(base: str) -> int:
    checks = [all_rows, filters, order_and_range, grouped, windows, select_with_alias_and_cast, one_row, head_and_count, as_csv, errors]
    failed = 0
    for check in checks:
        try:
            with SyncPostgrestClient(base) as client:
                check(client)
        except Exception:  # Every kind of failure is one.
            failed += 1
            print(f"FAILED {check.__name__}\n{traceback.format_exc()}")
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
