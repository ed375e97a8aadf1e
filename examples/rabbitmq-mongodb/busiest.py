"""Prints the five cities with most departures, from MongoDB: busiest.py [URL]. Needs pymongo."""

import sys

import pymongo

url = sys.argv[1] if len(sys.argv) > 1 else "mongodb://127.0.0.1:27017"
with pymongo.MongoClient(url) as client:
    for city in client.flights.delays_by_city.find().sort("flights", pymongo.DESCENDING).limit(5):
        print(f"{city['_id']}: {city['flights']} flights, {city['mean_delay']:.1f} minutes late on average")
