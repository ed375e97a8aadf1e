"""Publishes a file of JSON lines to a queue, a message a line with the line's number as message-id: publish.py [URL [FILE]].
Needs pika."""

import pathlib
import sys

import pika

QUEUE = "flights"
FLIGHTS = pathlib.Path(__file__).parent.parent / "flights" / "data" / "flights.ndjson"
url = sys.argv[1] if len(sys.argv) > 1 else "amqp://127.0.0.1:5672/%2f"
file = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else FLIGHTS

connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
# Fails where `manade up` has not declared the queue yet.
channel.queue_declare(QUEUE, passive=True)
with file.open("rb") as lines:
    for number, line in enumerate(lines, start=1):
        properties = pika.BasicProperties(
            message_id=str(number), content_type="application/json", delivery_mode=pika.DeliveryMode.Persistent
        )
        channel.basic_publish("", QUEUE, line, properties)
# Closing waits until the broker has taken all of them.
connection.close()
print(f"{number} messages published")
