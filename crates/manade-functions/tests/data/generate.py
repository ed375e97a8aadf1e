"""Fills the expected values of the .tsv files beside this script from Apache Spark.

    pip install pyspark==4.3.0   # and Java 17
    python generate.py [FILE.tsv ...]

A line of a file is `expression <tab> type <tab> value`; this script rewrites the last two. The value is JSON:
decimals, dates, timestamps and binaries (hex) are strings, maps sorted lists of pairs, structs lists of pairs of name and value.
`@from RELATION` makes the expressions below it run over that relation (the value is a list of rows), `@from` alone
without one. Lines that start with `#` are comments.
"""

import datetime
import decimal
import json
import os
import pathlib
import sys
import tempfile

os.environ["TZ"] = "UTC"
from pyspark.sql import SparkSession  # noqa: E402
from pyspark.sql import types as T  # noqa: E402


def plain(value, kind):
    if value is None:
        return None
    if isinstance(kind, T.ArrayType):
        return [plain(v, kind.elementType) for v in value]
    if isinstance(kind, T.MapType):
        pairs = [[plain(k, kind.keyType), plain(v, kind.valueType)] for k, v in value.items()]
        return sorted(pairs, key=json.dumps)
    if isinstance(kind, T.StructType):
        return [[f.name, plain(v, f.dataType)] for f, v in zip(kind.fields, value)]
    if isinstance(value, float):
        if value != value:
            return "NaN"
        if value in (float("inf"), float("-inf")):
            return "Infinity" if value > 0 else "-Infinity"
        return value
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, datetime.datetime):
        zone = "Z" if isinstance(kind, T.TimestampType) else ""
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f").rjust(26, "0") + zone
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, (bool, int, str)):
        return value
    raise TypeError(f"no plain form of {value!r}")


def main():
    folder = pathlib.Path(__file__).parent
    files = [pathlib.Path(a) for a in sys.argv[1:]] or sorted(folder.glob("*.tsv"))
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.sql.ansi.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.extraJavaOptions", "-Duser.timezone=UTC")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.warehouse.dir", tempfile.mkdtemp())
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    for file in files:
        relation, lines = None, []
        for line in file.read_text().splitlines():
            if line.startswith("@from"):
                relation = line[len("@from"):].strip() or None
            if not line or line[0] in "#@":
                lines.append(line)
                continue
            expression = line.split("\t")[0].rstrip()
            query = f"SELECT {expression}" + (f" FROM {relation}" if relation else "")
            try:
                frame = spark.sql(query)
                kind = frame.schema.fields[0].dataType
                rows = [plain(row[0], kind) for row in frame.collect()]
                value = rows if relation else rows[0]
                lines.append("\t".join([expression, kind.simpleString(), json.dumps(value, ensure_ascii=False)]))
            except Exception as error:  # the expression itself is at fault: say so and go on
                print(f"{file.name}: {expression}: {str(error).splitlines()[0]}", file=sys.stderr)
                lines.append(line)
        file.write_text("\n".join(lines) + "\n")


main()
