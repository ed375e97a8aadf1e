"""Declares a queue, an exchange or both: declare.py URL QUEUE stream | exchange EXCHANGE | bound EXCHANGE. The exchange is a
topic exchange; `bound`: the queue gets all its messages."""

import sys

import pika

url, queue, what, *exchange = sys.argv[1:]
channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
if what == "stream":
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "stream"})
else:
    channel.exchange_declare(exchange[0], "topic", durable=True)
if what == "bound":
    channel.queue_declare(queue, durable=True)
    channel.queue_bind(queue, exchange[0], "#")
