"""Asks Spark what it reads: writes spark_json.jsonl and spark_csv.jsonl beside this file.

Each line is [type, format, events, answers]: what Spark's reader gives for the column `v` of that type, with UTC as the
session's time zone, ANSI off, PERMISSIVE. "corrupt" is a corrupt record; timestamps are microseconds and dates days
since the epoch; binary is base64, a decimal its text. Run with pyspark 4.3 and Java 17: python generate.py
"""
import base64, datetime, decimal, json, math, os, pathlib, sys, tempfile

HERE = pathlib.Path(__file__).parent


def session():
    os.environ["TZ"] = "UTC"
    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
    }
    builder = SparkSession.builder.master("local[1]")
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def plain(value):
    from pyspark.sql import Row

    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, Row):
        return {key: plain(inner) for key, inner in value.asDict().items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return value


SELECT = {
    "timestamp": "unix_micros(v)",
    "timestamp_ntz": "unix_micros(cast(v as timestamp))",
    "date": "unix_date(v)",
}


def ask(spark, kind, data_type, pattern, events):
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8", newline="") as file:
        file.write("".join(event + "\n" for event in events))
        file.flush()
        reader = spark.read.schema(f"v {data_type}, _corrupt_record STRING").option("mode", "PERMISSIVE")
        if pattern:
            for option in ("timestampFormat", "timestampNTZFormat", "dateFormat"):
                reader = reader.option(option, pattern)
        frame = reader.option("escape", '"').csv(file.name) if kind == "csv" else reader.json(file.name)
        rows = frame.selectExpr(f"{SELECT.get(data_type, 'v')} as v", "_corrupt_record as c").collect()
    if len(rows) != len(events):
        sys.exit(f"{len(rows)} rows for {len(events)} events of {data_type}")
    return ["corrupt" if row.c is not None else plain(row.v) for row in rows]


def main():
    spark = session()
    for kind in ("json", "csv"):
        path = HERE / f"spark_{kind}.jsonl"
        questions = [json.loads(line)[:3] for line in path.read_text().splitlines()]
        with path.open("w") as out:
            for data_type, pattern, events in questions:
                answers = ask(spark, kind, data_type, pattern, events)
                out.write(json.dumps([data_type, pattern, events, answers]) + "\n")


main()
