"""Takes all messages out of a queue and appends them to a file, a JSON object a line: collect.py URL QUEUE FILE."""

import json
import sys

import pika

TOGETHER = 500

url, queue, file = sys.argv[1:]
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.basic_qos(prefetch_count=2 * TOGETHER)


def waiting():
    return channel.queue_declare(queue, passive=True).method.message_count


with open(file, "a", encoding="utf-8") as out:
    while count := waiting():
        for number, (method, properties, body) in enumerate(channel.consume(queue), 1):
            assert properties.content_type == "application/json", properties
            message = {
                "id": properties.message_id,
                "type": properties.type,
                "persistent": properties.delivery_mode == 2,
                **properties.headers,
                "body": json.loads(body),
            }
            out.write(json.dumps(message) + "\n")
            if number % TOGETHER == 0 or number == count:
                out.flush()
                channel.basic_ack(method.delivery_tag, multiple=True)
            if number == count:
                break
        # What came ahead goes back.
        channel.cancel()
connection.close()
