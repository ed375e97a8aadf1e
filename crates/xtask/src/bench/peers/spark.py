"""Spark's side of the benchmark: structured streaming with its state in RocksDB.

Takes one request a line on stdin, as JSON, and answers each with one line on stdout that begins with `> `:

    {"do": "time", "query": "q1", "events": FOLDER}                 -> {"seconds": s}: rows to the noop sink
    {"do": "rows", "query": "q1", "events": FOLDER, "to": FOLDER}   -> {}: rows to a new folder of NDJSON files

The first line, without a request, says that it has started. The only argument is a folder for checkpoints.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

os.environ["TZ"] = "UTC"
time.tzset()

from pyspark.sql import DataFrame, SparkSession  # noqa: E402
from pyspark.sql import functions as f  # noqa: E402

CORES = len(os.sched_getaffinity(0))
SETTINGS = {
    "spark.sql.shuffle.partitions": str(CORES),
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    "spark.driver.memory": "6g",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.sql.streaming.stateStore.providerClass": "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
}
NEXMARK = (
    "event_type INT, ts BIGINT, "
    "person STRUCT<id:BIGINT,name:STRING,emailAddress:STRING,creditCard:STRING,city:STRING,state:STRING,extra:STRING>, "
    "auction STRUCT<id:BIGINT,itemName:STRING,description:STRING,initialBid:BIGINT,reserve:BIGINT,expires:BIGINT,"
    "seller:BIGINT,category:BIGINT,extra:STRING>, "
    "bid STRUCT<auction:BIGINT,bidder:BIGINT,price:BIGINT,channel:STRING,url:STRING,extra:STRING>"
)


class Peer:
    def __init__(self, work: Path) -> None:
        builder = SparkSession.builder.master(f"local[{CORES}]").appName("bench")
        for key, value in SETTINGS.items():
            builder = builder.config(key, value)
        self.spark = builder.config("spark.sql.warehouse.dir", str(work / "warehouse")).getOrCreate()
        self.work = work

    def read(self, schema: str, events: str) -> DataFrame:
        return self.spark.readStream.schema(schema).option("maxFilesPerTrigger", 2).json(events)

    def bids(self, events: str) -> DataFrame:
        return self.read(NEXMARK, events).withColumn("dt", f.timestamp_millis("ts")).where("event_type = 2")

    def query(self, name: str, events: str) -> tuple[DataFrame, str]:
        """The rows, and the output mode."""
        if name == "growth":
            events_by_key = self.read("key BIGINT, value BIGINT", events).groupBy("key")
            return events_by_key.agg(f.expr("count(*) n"), f.expr("sum(value) total"), f.expr("max(value) highest")), "update"
        bids = self.bids(events)
        if name == "q1":
            return bids.selectExpr("bid.auction", "bid.bidder", "0.908 * bid.price price", "dt ts", "bid.extra"), "append"
        if name == "q2":
            return bids.where("bid.auction % 123 = 0").selectExpr("bid.auction", "bid.price"), "append"
        if name == "q21_22":
            channel_id = r"regexp_extract(bid.url, '(&|^)channel_id=([^&]*)', 2) channel_id"
            return bids.selectExpr("bid.auction", "lower(bid.channel) channel", channel_id, "split(bid.url, '/')[3] dir"), "append"
        if name == "q12":
            windows = bids.withWatermark("dt", "4 seconds").groupBy(f.col("bid.bidder"), f.window("dt", "10 seconds"))
            return windows.agg(f.count("*").alias("bids")).selectExpr("bidder", "window.start start", "bids"), "append"
        if name == "q17":
            days = bids.selectExpr("bid.auction auction", "date_format(dt, 'yyyy-MM-dd') day", "bid.price price").groupBy("auction", "day")
            columns = "count(*) bids", "count_if(price < 10000) cheap", "min(price) lowest", "max(price) highest", "avg(price) mean", "sum(price) total"
            return days.agg(*[f.expr(column) for column in columns]), "update"
        raise ValueError(f"no query {name}")

    def time(self, name: str, events: str) -> dict:
        frame, mode = self.query(name, events)
        checkpoint = self.checkpoint()
        start = time.monotonic()
        writer = frame.writeStream.format("noop").outputMode(mode).option("checkpointLocation", checkpoint)
        writer.trigger(availableNow=True).start().awaitTermination()
        return {"seconds": time.monotonic() - start}

    def rows(self, name: str, events: str, folder: str) -> dict:
        shutil.rmtree(folder, ignore_errors=True)
        frame, mode = self.query(name, events)
        checkpoint = self.checkpoint()
        if mode == "append":
            writer = frame.writeStream.format("json").option("path", folder)
        else:
            # Each batch has all groups, so the last one's stay.
            mode = "complete"
            writer = frame.writeStream.foreachBatch(lambda batch, _: batch.write.mode("overwrite").json(folder))
        writer.outputMode(mode).option("checkpointLocation", checkpoint).trigger(availableNow=True).start().awaitTermination()
        return {}

    def checkpoint(self) -> str:
        shutil.rmtree(self.work / "checkpoint", ignore_errors=True)
        return str(self.work / "checkpoint")


def main() -> None:
    peer = Peer(Path(sys.argv[1]))
    answer = {}
    while True:
        print(">", json.dumps(answer), flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        request = json.loads(line)
        if request["do"] == "time":
            answer = peer.time(request["query"], request["events"])
        else:
            answer = peer.rows(request["query"], request["events"], request["to"])


if __name__ == "__main__":
    main()
