"""Publishes a message of every kind: kinds.py URL QUEUE. 11 events, one of them twice, and 4 messages that are none."""

import gzip
import sys

import pika
import zstandard

url, queue = sys.argv[1], sys.argv[2]
channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
channel.confirm_delivery()


def publish(body, **properties):
    if isinstance(body, str):
        body = body.encode()
    channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2, **properties), mandatory=True)


publish('{"id": 1, "text": "plain"}')
publish('{\n  "id": 2,\n  "text": "several lines"\n}')
publish('[{"id": 3, "text": "array"}, {"id": 4, "text": "array"}]', content_type="application/json")
publish('{"id": 5, "text": "lines"}\n{"id": 6, "text": "lines"}\n', content_type="application/x-ndjson")
publish(gzip.compress(b'{"id": 7, "text": "gzip"}'), content_encoding="gzip")
publish(zstandard.compress(b'{"id": 8, "text": "zstd"}'), content_encoding="zstd")
publish(
    '{"id": 9, "text": "meta"}',
    message_id="m-9",
    headers={"tenant": "north", "attempt": 3, "list": [1]},
    timestamp=1700000000,
    type="flight",
    correlation_id="c-9",
)
publish("\ufeff" + '{"id": 10, "text": "Grüße, 東京"}')
# One id, published twice, whatever its body says.
publish('{"id": 11, "text": "once"}', message_id="m-11")
publish('{"id": 11, "text": "twice"}', message_id="m-11")
# No events.
publish("")
publish("not json")
publish(b"\xff\xfe")
publish('{"id": "no number"}')
