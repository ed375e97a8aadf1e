"""Publishes a hundred events, each twice: twice.py URL QUEUE header|field. `header`: a header `event` tells them apart;
`field`: their own field `id` does."""

import json
import sys

import pika

url, queue, how = sys.argv[1:4]
channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
channel.confirm_delivery()
for again in range(2):
    for number in range(1, 101):
        event = {"id": number, "text": f"time {again}"}
        # A body of one event, or of an array: the id of each counts.
        body = json.dumps(event if number % 2 else [event])
        headers = {"event": number} if how == "header" else None
        channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2, headers=headers), mandatory=True)
