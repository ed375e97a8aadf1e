"""The chain as it is made of parts by hand: a service with pika, micro-batches in PySpark, and pymongo; and the clients that
feed and watch either chain.

Takes one request a line on stdin, as JSON, and answers each with one line on stdout that begins with `> `. All have `amqp`,
`mongodb` and `queue`, which is the name of the collection too.

    {"do": "publish", "events": n}  -> {}: so many messages, durable
    {"do": "drain", "events": n}    -> {"seconds": s}: until so many messages are counted in the collection, and acknowledged
    {"do": "count"}                 -> {"events": n}: those that are counted in the collection
    {"do": "probe", "events": n}    -> {"milliseconds": [...]}: from the publishing of a message until its document is there

The first line, without a request, says that it has started. The only argument is a folder for Spark's files.
"""

import json
import os
import sys
import time

import pika
import pymongo
from pyspark.sql import SparkSession
from pyspark.sql import functions as f

CORES = len(os.sched_getaffinity(0))
# Messages that are processed together; fewer once none has come for a while.
BATCH, WAIT = 10_000, 0.05
USERS = 300


def body(number: int) -> bytes:
    kind = ("view", "click", "order")[number % 3]
    return b'{"user":%d,"kind":"%s","value":%d.5}' % (number * 7919 % USERS, kind.encode(), number % 100)


def open_channel(request: dict):
    connection = pika.BlockingConnection(pika.URLParameters(request["amqp"]))
    channel = connection.channel()
    channel.queue_declare(request["queue"], durable=True, arguments={"x-queue-type": "classic"})
    return connection, channel


def publish(request: dict, _) -> dict:
    connection, channel = open_channel(request)
    for number in range(request["events"]):
        properties = pika.BasicProperties(delivery_mode=2, content_type="application/json", message_id=str(number))
        channel.basic_publish("", request["queue"], body(number), properties)
    connection.close()
    return {}


def drain(request: dict, spark: SparkSession) -> dict:
    begun = time.monotonic()
    store = pymongo.MongoClient(request["mongodb"]).chain[request["queue"]]
    connection, channel = open_channel(request)
    channel.basic_qos(prefetch_count=2 * BATCH)
    done, bodies, last = 0, [], 0
    for method, _, message in channel.consume(request["queue"], inactivity_timeout=WAIT):
        if method is not None:
            bodies.append(message.decode())
            last = method.delivery_tag
        if not bodies or (method is not None and len(bodies) < BATCH):
            continue
        events = spark.read.schema("user BIGINT, kind STRING, value DOUBLE").json(
            spark.sparkContext.parallelize(bodies, CORES)
        )
        groups = events.groupBy("user").agg(f.count("*").alias("events"), f.sum("value").alias("total")).collect()
        adds = [{"$inc": {"events": group.events, "total": group.total}} for group in groups]
        updates = [pymongo.UpdateOne({"_id": group.user}, add, upsert=True) for group, add in zip(groups, adds)]
        store.bulk_write(updates, ordered=False)
        channel.basic_ack(last, multiple=True)
        done, bodies = done + len(bodies), []
        if done >= request["events"]:
            break
    channel.cancel()
    connection.close()
    return {"seconds": time.monotonic() - begun}


def count(request: dict, _) -> dict:
    with pymongo.MongoClient(request["mongodb"]) as client:
        return {"events": sum(group["events"] for group in client.chain[request["queue"]].find())}


def probe(request: dict, _) -> dict:
    connection, channel = open_channel(request)
    waited = []
    with pymongo.MongoClient(request["mongodb"]) as client:
        store = client.chain[request["queue"]]
        for number in range(request["events"]):
            user = 1_000_000 + number
            properties = pika.BasicProperties(delivery_mode=2, message_id=f"probe-{number}")
            begun = time.monotonic()
            channel.basic_publish("", request["queue"], b'{"user":%d,"kind":"probe","value":1}' % user, properties)
            while store.find_one({"_id": user}) is None:
                if time.monotonic() - begun > 60:
                    raise TimeoutError(f"probe {number} is not seen")
                time.sleep(0.002)
            waited.append((time.monotonic() - begun) * 1000)
    connection.close()
    return {"milliseconds": waited}


def main(folder: str) -> None:
    builder = SparkSession.builder.master(f"local[{CORES}]").appName("chain")
    settings = {"ui.enabled": "false", "driver.host": "127.0.0.1", "sql.shuffle.partitions": CORES, "log.level": "ERROR"}
    for name, value in settings.items():
        builder = builder.config(f"spark.{name}", value)
    spark = builder.config("spark.sql.warehouse.dir", folder).getOrCreate()
    print("> {}", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        work = {"publish": publish, "drain": drain, "count": count, "probe": probe}[request["do"]]
        print("> " + json.dumps(work(request, spark)), flush=True)
    spark.stop()


main(sys.argv[1])
