"""Takes all messages out of a queue and appends them to a file, a JSON object a line: collect.py URL QUEUE FILE."""

import json
import sys

import pika

url, queue, file = sys.argv[1:]
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
with open(file, "a", encoding="utf-8") as out:
    while True:
        method, properties, body = channel.basic_get(queue)
        if method is None:
            break
        assert properties.content_type == "application/json", properties
        message = {
            "id": properties.message_id,
            "type": properties.type,
            "persistent": properties.delivery_mode == 2,
            **properties.headers,
            "body": json.loads(body),
        }
        out.write(json.dumps(message) + "\n")
        out.flush()
        channel.basic_ack(method.delivery_tag)
connection.close()
