"""Prints what an engine reads from a folder of Parquet files: a line a row, columns with commas between, sorted.

read.py duckdb|spark FOLDER COLUMN...
"""

import datetime
import sys

engine, folder, *columns = sys.argv[1:]


def by_duckdb():
    import duckdb

    duckdb.sql("SET TimeZone = 'UTC'")
    files = f"read_parquet('{folder}/*/*.parquet', hive_partitioning = true)"
    names = ", ".join(f'"{column}"' for column in columns)
    return duckdb.sql(f"SELECT {names} FROM {files}").fetchall()


def by_spark():
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").config("spark.sql.session.timeZone", "UTC")
    spark = builder.config("spark.ui.enabled", "false").getOrCreate()
    rows = spark.read.parquet(folder).select(*columns).collect()
    spark.stop()
    return rows


def text(value):
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        # Spark's have no zone, and are of the process's, which is UTC.
        seconds, point, micros = value.replace(tzinfo=None).isoformat().partition(".")
        return (seconds + point + micros.rstrip("0")).rstrip(".") + "Z"
    return str(value)


for line in sorted(",".join(map(text, row)) for row in {"duckdb": by_duckdb, "spark": by_spark}[engine]()):
    print(line)
