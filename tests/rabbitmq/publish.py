"""Publishes numbered events with pika, each confirmed by the broker, through whatever happens to the connection.

publish.py URL QUEUE FIRST LAST: the events {"id": n, "text": "event n"} with n from FIRST to LAST, each in a message with
its number as message-id. A message whose confirmation was lost is published again.
"""

import sys
import time

import pika
from pika.exceptions import AMQPError, UnroutableError

url, queue, first, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
channel = None
number = first
again = 0
while number <= last:
    try:
        if channel is None:
            parameters = pika.URLParameters(url)
            parameters.blocked_connection_timeout = 5
            parameters.socket_timeout = 5
            channel = pika.BlockingConnection(parameters).channel()
            channel.confirm_delivery()
        properties = pika.BasicProperties(message_id=str(number), delivery_mode=2, content_type="application/json")
        body = '{"id": %d, "text": "event %d"}' % (number, number)
        channel.basic_publish("", queue, body, properties, mandatory=True)
        number += 1
    except (AMQPError, UnroutableError, OSError):
        again += 1
        channel = None
        time.sleep(0.2)
print(f"published {last - first + 1}, began again {again} times")
