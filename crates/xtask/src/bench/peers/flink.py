"""Flink's side of the benchmark: Flink SQL on a local mini cluster.

Takes one request a line on stdin, as JSON, and answers each with one line on stdout that begins with `> `:

    {"do": "time", "query": "q1", "events": FOLDER}                 -> {"seconds": s}: rows to the blackhole connector
    {"do": "rows", "query": "q1", "events": FOLDER, "to": FOLDER}   -> {}: rows to a new folder of NDJSON files

The first line, without a request, says that it has started. The only argument is a folder for temporary files.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

os.environ["TZ"] = "UTC"
time.tzset()

from pyflink.table import EnvironmentSettings, TableEnvironment  # noqa: E402

CORES = len(os.sched_getaffinity(0))
SETTINGS = {
    "parallelism.default": str(CORES),
    "table.local-time-zone": "UTC",
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "2s",
    "table.exec.mini-batch.size": "50000",
    "table.exec.source.idle-timeout": "2s",
    "execution.checkpointing.interval": "30s",
    # Else it would begin again for ever.
    "restart-strategy.type": "none",
    "pipeline.object-reuse": "true",
}
EVENTS = """CREATE TABLE events (
    event_type INT, ts BIGINT,
    bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, extra STRING>,
    dt AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR dt AS dt - INTERVAL {lateness}
) WITH ('connector' = 'filesystem', 'path' = 'file://{folder}', 'format' = 'json')"""
BIDS = "CREATE VIEW bids AS SELECT bid.auction auction, bid.bidder bidder, bid.price price, dt FROM events WHERE event_type = 2"
# The sink's columns, and the query.
QUERIES = {
    "q1": (
        "auction BIGINT, bidder BIGINT, price DECIMAL(23, 3), ts TIMESTAMP_LTZ(3), extra STRING",
        "SELECT bid.auction, bid.bidder, 0.908 * bid.price, dt, bid.extra FROM events WHERE event_type = 2",
    ),
    "q2": (
        "auction BIGINT, price BIGINT",
        "SELECT bid.auction, bid.price FROM events WHERE event_type = 2 AND MOD(bid.auction, 123) = 0",
    ),
    "q21_22": (
        "auction BIGINT, channel STRING, channel_id STRING, dir STRING",
        "SELECT bid.auction, LOWER(bid.channel), REGEXP_EXTRACT(bid.url, '(&|^)channel_id=([^&]*)', 2), "
        "SPLIT_INDEX(bid.url, '/', 3) FROM events WHERE event_type = 2",
    ),
    "q12": (
        "bidder BIGINT, `start` TIMESTAMP(3), bids BIGINT",
        "SELECT bidder, window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(dt), INTERVAL '10' SECOND)) "
        "GROUP BY bidder, window_start, window_end",
    ),
    "q17": (
        "auction BIGINT, `day` STRING, bids BIGINT, cheap BIGINT, lowest BIGINT, highest BIGINT, mean BIGINT, total BIGINT",
        "SELECT auction, DATE_FORMAT(dt, 'yyyy-MM-dd'), COUNT(*), COUNT(*) FILTER (WHERE price < 10000), MIN(price), "
        "MAX(price), AVG(price), SUM(price) FROM bids GROUP BY auction, DATE_FORMAT(dt, 'yyyy-MM-dd')",
    ),
}


def environment(events: str, lateness: str, **more: str) -> TableEnvironment:
    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    # Without a folder a checkpoint fails that has more than 5 MiB.
    checkpoints = {"execution.checkpointing.dir": f"file://{os.environ['TMPDIR']}/checkpoints"}
    for key, value in {**SETTINGS, **checkpoints, **more}.items():
        tables.get_config().set(key, value)
    tables.execute_sql(EVENTS.format(folder=events, lateness=lateness))
    tables.execute_sql(BIDS)
    return tables


def timed(name: str, events: str) -> dict:
    columns, query = QUERIES[name]
    tables = environment(events, "'4' SECOND")
    tables.execute_sql(f"CREATE TABLE sink ({columns}) WITH ('connector' = 'blackhole')")
    start = time.monotonic()
    tables.execute_sql(f"INSERT INTO sink {query}").wait()
    return {"seconds": time.monotonic() - start}


def rows(name: str, events: str, folder: str) -> dict:
    shutil.rmtree(folder, ignore_errors=True)
    columns, query = QUERIES[name]
    # Flink reads the parts of files in an order of its own, by which most events would be late; by that of their times none
    # is. Files get their names at a checkpoint.
    tables = environment(events, "'1' DAY", **{"execution.checkpointing.interval": "2s"})
    changes = name == "q17"
    options = f"'connector' = 'filesystem', 'path' = 'file://{folder}', 'format' = '{'debezium-json' if changes else 'json'}'"
    tables.execute_sql(f"CREATE TABLE sink ({columns}) WITH ({options})")
    tables.execute_sql(f"INSERT INTO sink {query}").wait()
    if changes:
        keep_last(Path(folder))
    return {}


def keep_last(folder: Path) -> None:
    """Replaces files of changes by one of the rows that they lead to. A key's changes are in files of one writer, in order."""

    def place(path: Path) -> tuple[int, int]:
        writer, number = path.name.rsplit("-", 2)[1:]
        return int(writer), int(number)

    last = {}
    for path in sorted(folder.glob("part-*"), key=place):
        for line in path.read_text().splitlines():
            row = json.loads(line)["after"]
            if row:
                last[row["auction"], row["day"]] = row
        path.unlink()
    (folder / "rows.json").write_text("".join(json.dumps(row) + "\n" for row in last.values()))


def main() -> None:
    os.environ["TMPDIR"] = sys.argv[1]
    # The Java side starts with the first environment.
    TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    answer = {}
    while True:
        print(">", json.dumps(answer), flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        request = json.loads(line)
        if request["do"] == "time":
            answer = timed(request["query"], request["events"])
        else:
            answer = rows(request["query"], request["events"], request["to"])


if __name__ == "__main__":
    main()
