"""Declares a stream: stream.py URL QUEUE."""

import sys

import pika

url, queue = sys.argv[1], sys.argv[2]
channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "stream"})
