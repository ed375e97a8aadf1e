"""Prints a collection's documents, a line each: the named fields with commas between, sorted.

dump.py URL DATABASE COLLECTION FIELD...
"""

import sys

import pymongo

url, database, collection, *fields = sys.argv[1:]


def text(value):
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


with pymongo.MongoClient(url) as client:
    documents = client[database][collection].find({})
    for line in sorted(",".join(text(document.get(field)) for field in fields) for document in documents):
        print(line)
