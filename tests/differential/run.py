"""Runs the query files in Spark and in Manade and compares the rows.

    python run.py --manade PATH --cache DIR [--only FILE_OR_QUERY ...]
    python run.py --cache DIR --spark-only          only Spark: are the queries right, do they give rows?

Spark's answers are kept in the cache folder by the hash of everything that they depend on. Manade runs each file twice:
in one go, and in pieces: the events are cut at random bytes and each piece is one run of `manade up --once`, so that
every cut is a restart too. Needs pyspark 4.3.0 and Java 17.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import itertools
import json
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import compare
import datasets
import spark
from queries import Query, QueryFile, read_all

HERE = Path(__file__).resolve().parent
CUTS = 3
# Seconds, of any one run of Manade.
TIMEOUT = 120
# Documented functions that SQL writes as operators.
OPERATORS = {"like", "ilike", "rlike", "regexp", "div", "mod", "between", "in", "case", "when"}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--manade", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--spark-only", action="store_true")
    options = parser.parse_args()
    every = read_all(HERE / "queries")
    files = [file for file in every if not options.only or {file.name, *(q.name for q in file.queries)} & set(options.only)]
    answers = spark_answers(files, options.cache)
    failed: dict[str, list[str]] = {}
    for file in files:
        for query in file.queries:
            failed[f"{file.name}/{query.name}"] = spark_problems(answers[query.name])
    if not options.spark_only:
        manade = Manade(options.manade.resolve())
        if not options.only:
            failed["every documented function is in a query"] = manade.uncovered(every)
        for file in files:
            for name, problems in manade.compared(file, answers).items():
                failed[f"{file.name}/{name}"] += problems
    return report(failed)


def report(failed: dict[str, list[str]]) -> int:
    for name, problems in failed.items():
        if problems:
            print(f"FAILED {name}", *(f"    {problem}" for problem in problems), sep="\n")
    bad = sum(1 for problems in failed.values() if problems)
    print(f"{len(failed) - bad} passed, {bad} failed")
    return 1 if bad else 0


def spark_answers(files: list[QueryFile], cache: Path) -> dict[str, dict]:
    """By query name; runs only the files whose answers are not in the cache."""
    cache.mkdir(parents=True, exist_ok=True)
    paths = {file.name: cache / f"{file.name}-{key(file)}.json" for file in files}
    missing = [file for file in files if not paths[file.name].exists()]
    if missing:
        with tempfile.TemporaryDirectory() as folder:
            fresh = spark.answer(missing, Path(folder))
        for file in missing:
            for stale in cache.glob(f"{file.name}-????????????????.json"):
                stale.unlink()
            paths[file.name].write_text(json.dumps({query.name: fresh[query.name] for query in file.queries}))
    return {name: answer for path in paths.values() for name, answer in json.loads(path.read_text()).items()}


def key(file: QueryFile) -> str:
    digest = hashlib.sha256(importlib.metadata.version("pyspark").encode())
    dataset = datasets.load(file.dataset)
    for part in [file.text, Path(spark.__file__).read_text(), repr(dataset.columns), repr(sorted(dataset.tables.items()))]:
        digest.update(part.encode() + b"\0")
    digest.update(dataset.events)
    return digest.hexdigest()[:16]


def spark_problems(answer: dict) -> list[str]:
    if "error" in answer:
        return [f"Spark refuses it: {answer['error']}"]
    if all(value is None for row in answer["rows"] for value in row):
        return ["Spark gives no rows, or only nulls: the query shows nothing"]
    return []


class Manade:
    def __init__(self, binary: Path) -> None:
        self.binary = binary

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run([self.binary, *arguments], capture_output=True, text=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired as error:
            return subprocess.CompletedProcess(error.cmd, -1, "", f"did not end within {TIMEOUT} s")

    def uncovered(self, files: list[QueryFile]) -> list[str]:
        """Documented functions that no query uses."""
        listed = self.run("functions", "-o", "json")
        if listed.returncode:
            return [f"manade functions: {listed.stderr.strip()}"]
        text = "\n".join(query.sql.lower() for file in files for query in file.queries)

        def used(name: str) -> bool:
            return re.search(rf"\b{re.escape(name)}\b" + ("" if name in OPERATORS else r"\s*\("), text) is not None

        names = [name.lower() for f in json.loads(listed.stdout) for name in [f["name"], *f.get("aliases", [])]]
        return [f"{name} is in no query file" for name in names if not used(name)]

    def compared(self, file: QueryFile, answers: dict[str, dict]) -> dict[str, list[str]]:
        """What is wrong, by query."""
        dataset = datasets.load(file.dataset)
        with tempfile.TemporaryDirectory() as folder:
            platform = Platform(Path(folder), file, dataset)
            problems = self.checked(platform)
            runs = [("whole", [dataset.events]), ("in pieces", cut(file.name, dataset.events))]
            for lateness, (how, pieces) in itertools.product(file.latenesses, runs):
                label = f"{how}, lateness {lateness}"
                platform.lateness = lateness
                data = Path(folder) / label
                broken = self.fed(platform, pieces, data)
                for query in platform.queries:
                    if broken:
                        problems[query.name].append(f"{label}: {broken}")
                    elif "error" not in answers[query.name]:
                        found = self.dead(query, data) or self.different(query, answers[query.name], data)
                        problems[query.name] += [f"{label}: {p}" for p in found]
        return problems

    def checked(self, platform: Platform) -> dict[str, list[str]]:
        """Takes the queries that Manade refuses out of the platform, so that the others run."""
        problems: dict[str, list[str]] = {query.name: [] for query in platform.queries}
        while platform.queries:
            lines = platform.write(follow=False)
            check = self.run("check", platform.folder)
            if check.returncode == 0:
                break
            refused = set()
            for line, message in findings(check.stderr):
                owner = next((name for name, first, last in lines if first <= line <= last), None)
                if owner:
                    refused.add(owner)
                    problems[owner].append(f"refused: {message}")
            if not refused:
                refused = {query.name for query in platform.queries}
                for name in refused:
                    problems[name].append(f"check failed: {check.stderr.strip()[-1000:]}")
            platform.queries = [query for query in platform.queries if query.name not in refused]
        return problems

    def fed(self, platform: Platform, pieces: list[bytes], data: Path) -> str | None:
        """Runs the platform once a piece; the end of the last one ends the stream."""
        if not platform.queries:
            return None
        platform.events.write_bytes(b"")
        for number, piece in enumerate(pieces):
            with platform.events.open("ab") as events:
                events.write(piece)
            platform.write(follow=number + 1 < len(pieces))
            up = self.run("up", platform.folder, "--data", data, "--once")
            if up.returncode or "panicked" in up.stderr:
                return f"up --once ends with {up.returncode}: {up.stderr.strip()[:1000]}"
        return None

    def dead(self, query: Query, data: Path) -> list[str]:
        """Why events could not be processed, each reason once."""
        listed = self.run("dead-letters", "list", "--result", query.name, "-o", "json", "--data", data)
        if listed.returncode:
            return [f"dead-letters list ends with {listed.returncode}: {listed.stderr.strip()[-1000:]}"]
        return [f"dead letters: {reason}" for reason in sorted({letter["reason"] for letter in json.loads(listed.stdout)})]

    def different(self, query: Query, answer: dict, data: Path) -> list[str]:
        read = self.run("data", query.name, "-o", "ndjson", "--data", data)
        if read.returncode:
            return [f"data ends with {read.returncode}: {read.stderr.strip()[-1000:]}"]
        return compare.differences(query, answer, [json.loads(line, parse_float=Decimal) for line in read.stdout.splitlines()])


class Platform:
    """A folder with one pipeline of all queries of a file."""

    def __init__(self, folder: Path, file: QueryFile, dataset: datasets.Dataset) -> None:
        self.folder = folder / "platform"
        self.folder.mkdir()
        self.events = self.folder / "events.ndjson"
        self.file = file
        self.dataset = dataset
        self.lateness = file.latenesses[0]
        self.queries = list(file.queries)
        self.events.write_bytes(dataset.events)
        for name, table in dataset.tables.items():
            (self.folder / f"{name}.csv").write_text(table.text)

    def write(self, follow: bool) -> list[tuple[str, int, int]]:
        """Writes the pipeline; says from which line to which each query stands."""
        lines = [
            "apiVersion: manade.dev/v1alpha1",
            "kind: Pipeline",
            f"metadata: {{ name: {self.file.name.replace('_', '-')} }}",
            "spec:",
            f"  source: {{ file: {{ path: events.ndjson, follow: {json.dumps(follow)} }} }}",
            f"  events: {{ time: {self.dataset.time}, lateness: {self.lateness}, schema: {schema(self.dataset.columns)} }}",
            "  tables:",
        ]
        for name, table in self.dataset.tables.items():
            lines.append(f"    - {{ name: {name}, file: {{ path: {name}.csv }}, schema: {schema(table.columns)} }}")
        lines.append("  results:")
        places = []
        for query in self.queries:
            first = len(lines) + 1
            lines.append(f"    - name: {query.name}")
            lines += [f"      {key}: {value}" for key, value in query.options.items()]
            lines += ["      sql: |", *(f"        {line}" for line in query.sql.splitlines())]
            places.append((query.name, first, len(lines)))
        (self.folder / "pipeline.yaml").write_text("\n".join(lines) + "\n")
        return places


def schema(columns: list[datasets.Column]) -> str:
    def one(column: datasets.Column) -> str:
        name, kind = json.dumps(column.name), json.dumps(column.type)
        return f"{name}: {kind}" if column.format is None else f"{name}: {{ type: {kind}, format: {json.dumps(column.format)} }}"

    return "{ " + ", ".join(one(column) for column in columns) + " }"


def cut(seed: str, events: bytes) -> list[bytes]:
    """At random bytes, the middle of a line too; the same ones in every run."""
    places = sorted(random.Random(seed).sample(range(1, len(events)), CUTS))
    return [events[a:b] for a, b in zip([0, *places], [*places, len(events)])]


def findings(text: str) -> Iterator[tuple[int, str]]:
    """Line and message of each error in the output of `manade check`."""
    for match in re.finditer(r"pipeline\.yaml:(\d+):\d+: error: (.*(?:\n\s+hint: .*)?)", text):
        yield int(match.group(1)), " ".join(match.group(2).split())


if __name__ == "__main__":
    sys.exit(main())
