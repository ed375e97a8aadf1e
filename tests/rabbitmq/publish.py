"""Publishes numbered events with pika, through whatever happens to the connection.

publish.py URL QUEUE FIRST LAST: the events {"id": n, "text": "event n"} with n from FIRST to LAST, each in a message with
its number as message-id. They go in transactions: a commit is answered once the queue has all of them on its disk, and
what was not committed, or came back because the queue was not there, is published again.
"""

import sys
import time

import pika
from pika.exceptions import AMQPError

TOGETHER = 50

url, queue, first, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
channel = None
returned = []
number = first
again = 0
while number <= last:
    try:
        if channel is None:
            parameters = pika.URLParameters(url)
            parameters.blocked_connection_timeout = 5
            parameters.socket_timeout = 5
            channel = pika.BlockingConnection(parameters).channel()
            channel.add_on_return_callback(lambda *_: returned.append(True))
            channel.tx_select()
        returned.clear()
        end = min(number + TOGETHER, last + 1)
        for n in range(number, end):
            properties = pika.BasicProperties(message_id=str(n), delivery_mode=2, content_type="application/json")
            channel.basic_publish("", queue, '{"id": %d, "text": "event %d"}' % (n, n), properties, mandatory=True)
        channel.tx_commit()
        # What comes back comes before the answer to the commit.
        channel.connection.process_data_events(time_limit=0)
        if returned:
            raise OSError("the queue is not there")
        number = end
    except (AMQPError, OSError):
        again += 1
        channel = None
        time.sleep(0.2)
print(f"published {last - first + 1}, began again {again} times")
