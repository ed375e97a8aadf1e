"""The events and tables that the queries run over: real flights, generated Nexmark events, and ragged nested events
with nulls. Generated ones are the same in every run."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Column:
    name: str
    # Spark's DDL type.
    type: str
    # A pattern of Spark's or epoch_millis, for timestamps and dates.
    format: str | None = None


@dataclass(frozen=True)
class Table:
    columns: list[Column]
    # CSV with a header.
    text: str


@dataclass(frozen=True)
class Dataset:
    columns: list[Column]
    # The event time's column; events come in its order.
    time: str
    # NDJSON.
    events: bytes
    tables: dict[str, Table]


def load(name: str) -> Dataset:
    return {"flights": flights, "nexmark": nexmark, "ragged": ragged}[name]()


def flights() -> Dataset:
    data = ROOT / "examples" / "flights" / "data"
    columns = [
        Column("date", "timestamp", "yyyy/MM/dd HH:mm"),
        Column("delay", "int"),
        Column("distance", "int"),
        Column("origin", "string"),
        Column("destination", "string"),
    ]
    texts = [Column(name, "string") for name in ("iata", "name", "city", "state", "country")]
    airports = Table([*texts, Column("latitude", "double"), Column("longitude", "double")], (data / "airports.csv").read_text())
    return Dataset(columns, "date", (data / "flights.ndjson").read_bytes(), {"airports": airports})


# Nexmark (https://datalab.snu.ac.kr/nexmark, the Apache Beam variant): people, auctions and bids, 1 : 3 : 46.
NEXMARK_COUNT = 20_000
NEXMARK_RATE = 200
NEXMARK_START = 1_700_000_000_000


def nexmark() -> Dataset:
    person = "struct<id:bigint,name:string,emailAddress:string,creditCard:string,city:string,state:string,extra:string>"
    auction = (
        "struct<id:bigint,itemName:string,description:string,initialBid:bigint,reserve:bigint,expires:bigint,"
        "seller:bigint,category:bigint,extra:string>"
    )
    bid = "struct<auction:bigint,bidder:bigint,price:bigint,channel:string,url:string,extra:string>"
    columns = [
        Column("event_type", "int"),
        Column("ts", "timestamp", "epoch_millis"),
        Column("person", person),
        Column("auction", auction),
        Column("bid", bid),
    ]
    generator = Nexmark()
    events = "".join(json.dumps(generator.event(i), separators=(",", ":")) + "\n" for i in range(NEXMARK_COUNT))
    categories = "id,label,parent\n10,books,\n11,music,\n12,toys,10\n13,,11\n99,unused,10\n"
    table = Table([Column("id", "bigint"), Column("label", "string"), Column("parent", "bigint")], categories)
    return Dataset(columns, "ts", events.encode(), {"categories": table})


class Nexmark:
    def __init__(self) -> None:
        self.random = random.Random(42)
        self.words = [self.word(24) for _ in range(500)]

    def word(self, length: int) -> str:
        return "".join(self.random.choices("abcdefghijklmnopqrstuvwxyz", k=length))

    def price(self) -> int:
        return round(10 ** (self.random.random() * 6) * 100)

    def event(self, number: int) -> dict:
        event = {"ts": NEXMARK_START + number * 1000 // NEXMARK_RATE}
        epoch, offset = divmod(number, 50)
        if offset < 1:
            return {"event_type": 0, **event, "person": self.person(epoch)}
        if offset < 4:
            return {"event_type": 1, **event, "auction": self.auction(number, epoch, event["ts"])}
        return {"event_type": 2, **event, "bid": self.bid(number, epoch)}

    def person(self, epoch: int) -> dict:
        return {
            "id": 1000 + epoch,
            "name": self.random.choice(["Peter Jones", "Saul Noris", "Kate Lewis", "Julie Walton"]),
            "emailAddress": f"{self.random.choice(self.words)}@{self.word(3)}.com",
            "creditCard": " ".join(f"{self.random.randrange(10000):04}" for _ in range(4)),
            "city": self.random.choice(["Kent", "Bend", "Boise", "Phoenix", "Seattle"]),
            "state": self.random.choice(["OR", "ID", "AZ", "WA"]),
            "extra": self.random.choice(self.words),
        }

    def auction(self, number: int, epoch: int, now: int) -> dict:
        price = self.price()
        return {
            "id": 1000 + last_auction(number),
            "itemName": self.random.choice(self.words),
            "description": " ".join(self.random.choices(self.words, k=4)),
            "initialBid": price,
            "reserve": price + self.price(),
            "expires": now + self.random.randrange(1, 20_000),
            "seller": 1000 + max(0, epoch - self.random.randrange(100)),
            "category": 10 + self.random.randrange(5),
            "extra": self.random.choice(self.words),
        }

    def bid(self, number: int, epoch: int) -> dict:
        latest = last_auction(number)
        hot = self.random.random() < 0.5
        auction = latest // 100 * 100 if hot else max(latest - 100, 0) + self.random.randrange(111)
        bidder = epoch // 100 * 100 + 1 if self.random.random() < 0.75 else max(epoch - 1000, 0) + self.random.randrange(1010)
        popular = self.random.random() < 0.5
        channel = self.random.choice(["Google", "Facebook", "Baidu", "Apple"]) if popular else f"channel-{self.random.randrange(10_000)}"
        return {
            "auction": 1000 + auction,
            "bidder": 1000 + bidder,
            "price": self.price(),
            "channel": channel,
            "url": f"https://www.nexmark.com/abcde/fghij/klmno/item.htm?query=1&channel_id={number % 9999}",
            "extra": self.random.choice(self.words),
        }


def last_auction(number: int) -> int:
    epoch, offset = divmod(number, 50)
    if offset < 1:
        return max(epoch * 3 - 1, 0)
    return epoch * 3 + (2 if offset >= 4 else offset - 1)


RAGGED_COUNT = 1_500
RAGGED_START = datetime(2024, 2, 27, 22, 15, tzinfo=timezone.utc)
RAGGED_COLUMNS = [
    Column("id", "bigint"),
    Column("at", "timestamp"),
    Column("name", "string"),
    Column("word", "string"),
    Column("n", "int"),
    Column("big", "bigint"),
    Column("small", "smallint"),
    Column("tiny", "tinyint"),
    Column("f", "float"),
    Column("d", "double"),
    Column("amount", "decimal(12,2)"),
    Column("rate", "decimal(5,4)"),
    Column("flag", "boolean"),
    Column("day", "date"),
    Column("wall", "timestamp_ntz"),
    Column("bin", "binary"),
    Column("user", "struct<name:string,age:int,address:struct<city:string,zip:string>>"),
    Column("tags", "array<string>"),
    Column("nums", "array<int>"),
    Column("scores", "array<double>"),
    Column("items", "array<struct<sku:string,qty:int,price:decimal(10,2)>>"),
    Column("matrix", "array<array<int>>"),
    Column("attrs", "map<string,string>"),
    Column("counts", "map<string,int>"),
    Column("doc", "string"),
    Column("list", "string"),
    Column("url", "string"),
    Column("stamp", "string"),
    Column("digits", "string"),
]
# Text that is numbers, padded numbers, overflow and no number at all.
DIGITS = ["0", "7", "-12", "+5", " 42 ", "3.75", "-0.5", "1e3", "99999999999", "12a", "", "abc", "true", "NaN", "2024-03-01", "0x1F"]
WORDS = ["alpha", "Beta", "gamma ray", "δέλτα", "écho", "日本語", "o'neil", "", "  padded ", "a,b;c", "tab\tbed", "emoji 🎈 up", "ÀÉÎ", "100%_sure", "alpha"]
NAMES = ["ann", "bob", "cid", "dee", "eve", "Ann", "fay"]
TAGS = ["red", "green", "blue", "", "Red"]
STAMPS = ["2024-01-05 10:11:12", "2023-12-31T23:59:59", "05/01/2024 07:08", "2024-02-30", "not a time", "2024-06-15", "1999-07-04 00:00:00.123456"]
URLS = [
    "https://user:secret@example.com:8443/a/b/c.html?x=1&y=two%20words&z=#top",
    "http://spark.apache.org/path?query=1",
    "ftp://files.example.org/",
    "not a url",
    "https://example.com/caf%C3%A9?q=a+b&empty=",
]
ZIPS = ["97201", "00501", "", "K1A 0B1"]
UNDERSTOOD = {"a": 1, "b": {"c": [1, 2, {"d": "x"}]}, "e": None, "f": 1.5, "g": True, "h.i": "dot", "day": "2024-03-01"}


def ragged() -> Dataset:
    generator = Ragged()
    events = "".join(generator.line(i) + "\n" for i in range(RAGGED_COUNT))
    people = "name,team,level\nann,blue,3\nbob,red,1\ncid,,2\nAnn,green,\nzed,red,9\n"
    table = Table([Column("name", "string"), Column("team", "string"), Column("level", "int")], people)
    return Dataset(RAGGED_COLUMNS, "at", events.encode(), {"people": table})


class Ragged:
    def __init__(self) -> None:
        self.random = random.Random(7)
        self.at = RAGGED_START

    def line(self, number: int) -> str:
        # Ties, steps, and now and then a gap that ends a session; exact multiples of a minute too.
        step = self.random.choice([0, 0, 1, 7, 20, 30, 60, 60, 90, 300]) if number % 40 else 1200
        self.at += timedelta(seconds=step, microseconds=self.random.choice([0, 0, 0, 250_000, 1]))
        event: dict = {"id": number, "at": self.at.isoformat().replace("+00:00", "Z")}
        for column in RAGGED_COLUMNS[2:]:
            fate = self.random.random()
            if fate < 0.08:
                event[column.name] = None
            elif fate > 0.14:
                event[column.name] = getattr(self, f"make_{column.name}")()
        return json.dumps(event, ensure_ascii=number % 3 == 0, separators=(",", ":"))

    def or_null(self, value: object) -> object:
        return None if self.random.random() < 0.12 else value

    def few(self, make: object, most: int = 5) -> list:
        return [self.or_null(make()) for _ in range(self.random.randrange(most + 1))]

    def make_name(self) -> str:
        return self.random.choice(NAMES)

    def make_word(self) -> str:
        return self.random.choice(WORDS)

    def make_n(self) -> int:
        return self.random.choice([0, 1, -1, 2_147_483_647, -2_147_483_648, *range(-20, 60)])

    def make_big(self) -> int:
        return self.random.choice([0, 1, 9_223_372_036_854_775_807, -9_223_372_036_854_775_808, *range(1_000_000_000, 1_000_000_040)])

    def make_small(self) -> int:
        return self.random.choice([32_767, -32_768, *range(-10, 30)])

    def make_tiny(self) -> int:
        return self.random.choice([127, -128, *range(-5, 12)])

    def make_f(self) -> float:
        return self.random.choice([0.0, 0.1, -2.5, 1e10, 3.4e38, 1.17e-38, self.random.randrange(4000) / 16])

    def make_d(self) -> float:
        return self.random.choice([0.0, -0.0, 0.1, -0.5, 0.5, 1.5, 2.5, 1e15, 1e-7, 123456.789, -2.675, self.random.randrange(-9000, 9000) / 8, self.random.random()])

    def make_amount(self) -> float:
        return self.random.randrange(-100_000, 1_000_000) / 100

    def make_rate(self) -> float:
        return self.random.randrange(0, 99_999) / 10_000

    def make_flag(self) -> bool:
        return self.random.random() < 0.5

    def make_day(self) -> str:
        return (date(1999, 12, 20) + timedelta(days=self.random.choice([0, 11, 12, 71, 8835, 8836, 8866, 9000, -11_000, *range(60)]))).isoformat()

    def make_wall(self) -> str:
        return (datetime(2024, 3, 30, 23, 30) + timedelta(minutes=self.random.randrange(0, 5000, 15))).isoformat()

    def make_bin(self) -> str:
        return base64.b64encode(self.random.choice([b"", b"abc", b"\x00\xff\x10", "é".encode(), b"Spark SQL"])).decode()

    def make_user(self) -> dict:
        user: dict = {"name": self.or_null(self.make_name())}
        if self.random.random() < 0.8:
            user["age"] = self.or_null(self.random.randrange(18, 70))
        if self.random.random() < 0.8:
            user["address"] = self.or_null({"city": self.or_null(self.make_word()), "zip": self.random.choice(ZIPS)})
        return user

    def make_tags(self) -> list:
        return self.few(lambda: self.random.choice(TAGS))

    def make_nums(self) -> list:
        return self.few(lambda: self.random.randrange(-3, 9), 6)

    def make_scores(self) -> list:
        return self.few(lambda: self.random.randrange(-40, 400) / 8, 4)

    def make_items(self) -> list:
        make = lambda: {"sku": self.random.choice(["p1", "p2", "p3"]), "qty": self.or_null(self.random.randrange(5)), "price": self.random.randrange(9999) / 100}
        return self.few(make, 4)

    def make_matrix(self) -> list:
        return self.few(self.make_nums, 3)

    def make_attrs(self) -> dict:
        return {key: self.or_null(self.make_word()) for key in self.random.sample(["color", "size", "Ünit", "a b"], self.random.randrange(4))}

    def make_counts(self) -> dict:
        return {key: self.or_null(self.random.randrange(-5, 50)) for key in self.random.sample(["x", "y", "z"], self.random.randrange(4))}

    def make_doc(self) -> str:
        picked = {key: UNDERSTOOD[key] for key in self.random.sample(sorted(UNDERSTOOD), self.random.randrange(6))}
        return self.random.choice([json.dumps(picked), json.dumps(picked), json.dumps(picked), "[1, 2, 3]", "{", "", '{"a": "text", "a": 2}', "null"])

    def make_list(self) -> str:
        return self.random.choice(["a,b,c", "a,,c", "", "solo", "x=1,y=2,z", "one  two three", "1,2,3,4,5", ","])

    def make_url(self) -> str:
        return self.random.choice(URLS)

    def make_stamp(self) -> str:
        return self.random.choice(STAMPS)

    def make_digits(self) -> str:
        return self.random.choice(DIGITS)
