"""Spark's answers: every query of some query files in batch mode, over the events as a view."""

from __future__ import annotations

import base64
import logging
import os
import time
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path

import datasets
from queries import QueryFile

os.environ["TZ"] = "UTC"
time.tzset()

SETTINGS = {
    "spark.sql.ansi.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    # One partition: first, last and lists follow the order of the events.
    "spark.sql.files.maxPartitionBytes": "1g",
    # Queries are many and small: compiling each costs more than it gains.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.adaptive.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.log.level": "ERROR",
}


def answer(files: list[QueryFile], folder: Path) -> dict[str, dict]:
    """By query name: `{columns: [[name, type], ...], rows: [[value, ...], ...]}` or `{error}`. Values are plain JSON, see
    `plain`; types are Spark's JSON types. `folder` takes the datasets' files and Spark's own."""
    from pyspark.sql import SparkSession

    # Refused queries are reported by their answers.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    builder = SparkSession.builder.master("local[1]").appName("differential")
    for key, value in SETTINGS.items():
        builder = builder.config(key, value)
    spark = builder.config("spark.sql.warehouse.dir", str(folder / "warehouse")).getOrCreate()
    answers: dict[str, dict] = {}
    try:
        for name in sorted({file.dataset for file in files}):
            load(spark, name, folder)
            for file in files:
                if file.dataset == name:
                    run(spark, file, answers)
    finally:
        spark.stop()
    return answers


def load(spark: object, name: str, folder: Path) -> None:
    dataset = datasets.load(name)
    spark.catalog.clearCache()
    events = folder / f"{name}.ndjson"
    events.write_bytes(dataset.events)
    read(spark.read, dataset.columns).json(str(events)).selectExpr(*selected(dataset.columns)).cache().createOrReplaceTempView("events")
    for table, content in dataset.tables.items():
        path = folder / f"{name}-{table}.csv"
        path.write_text(content.text)
        frame = read(spark.read, content.columns).option("header", True).csv(str(path)).selectExpr(*selected(content.columns))
        frame.cache().createOrReplaceTempView(table)


def read(reader: object, columns: list[datasets.Column]) -> object:
    """Columns with a format are read as they stand and converted by `selected`."""
    raw = {None: lambda c: c.type, "epoch_millis": lambda c: "bigint"}
    fields = [f"`{c.name}` {raw.get(c.format, lambda c: 'string')(c)}" for c in columns]
    return reader.schema(", ".join(fields)).option("mode", "PERMISSIVE")


def selected(columns: list[datasets.Column]) -> list[str]:
    def one(column: datasets.Column) -> str:
        name = f"`{column.name}`"
        if column.format is None:
            return name
        if column.format == "epoch_millis":
            return f"timestamp_millis({name}) AS {name}"
        return f"to_timestamp({name}, '{column.format}') AS {name}"

    return [one(column) for column in columns]


def run(spark: object, file: QueryFile, answers: dict[str, dict]) -> None:
    for query in file.queries:
        try:
            frame = spark.sql(query.sql)
            # A later query of the file may read this one.
            frame.createOrReplaceTempView(query.name)
            columns = [[field.name, field.dataType.jsonValue()] for field in frame.schema.fields]
            rows = [[plain(value) for value in row] for row in frame.collect()]
            answers[query.name] = {"columns": columns, "rows": rows}
        except Exception as error:  # Spark's own exceptions have no common type.
            answers[query.name] = {"error": str(error).split(";\n")[0].strip()[:600]}


def plain(value: object) -> object:
    """A row's value as JSON: timestamps as microseconds, decimals and dates as text, binary as base64, maps as a list of
    pairs, structs as a list in the order of their fields."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        delta = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
        return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return [[plain(key), plain(item)] for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
