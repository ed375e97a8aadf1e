"""Query files: a header of options, then named queries.

    -- dataset: flights            required: flights | nexmark | ragged
    -- lateness: 10 minutes        of the pipeline, several: the file is run with each; default 10000 days, so that nothing is late

    -- query: by_origin            the result's name
    -- emit: final                 options of the result: emit, limit, retain, index
    -- approximate: p95 0.02       a column within this relative error of Spark's
    -- ordered                     rows are compared in order (top-N)
    SELECT ...;
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

NO_LATENESS = "10000 days"
FILE_OPTIONS = {"dataset", "lateness"}
RESULT_OPTIONS = {"emit", "limit", "retain", "index"}


@dataclass
class Query:
    name: str
    sql: str = ""
    # Keys of the result in the pipeline file.
    options: dict[str, str] = field(default_factory=dict)
    # Relative error by column.
    approximate: dict[str, float] = field(default_factory=dict)
    ordered: bool = False


@dataclass
class QueryFile:
    name: str
    text: str
    dataset: str
    latenesses: list[str]
    queries: list[Query]


def read_all(folder: Path) -> list[QueryFile]:
    """All query files; query names are unique over all of them."""
    files = [parse(path.stem, path.read_text()) for path in sorted(folder.glob("*.sql"))]
    names = [query.name for file in files for query in file.queries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"query names are used twice: {', '.join(twice)}")
    return files


def parse(name: str, text: str) -> QueryFile:
    options: dict[str, str] = {}
    queries: list[Query] = []
    for line in text.splitlines():
        comment = re.match(r"--\s*([a-z]+)(?::\s*(.*\S))?\s*$", line)
        if comment is None:
            if queries:
                queries[-1].sql += line + "\n"
            elif line.strip() and not line.startswith("--"):
                raise ValueError(f"{name}: SQL before the first query: {line}")
            continue
        key, value = comment.group(1), comment.group(2) or ""
        if key == "query":
            queries.append(Query(value))
        elif not queries and key in FILE_OPTIONS:
            options[key] = value
        elif queries and key in RESULT_OPTIONS:
            queries[-1].options[key] = value
        elif queries and key == "approximate":
            column, error = value.rsplit(" ", 1)
            queries[-1].approximate[column] = float(error)
        elif queries and key == "ordered":
            queries[-1].ordered = True
        else:
            raise ValueError(f"{name}: unknown option in {line!r}")
    for query in queries:
        query.sql = query.sql.strip()
        if not query.sql.endswith(";"):
            raise ValueError(f"{name}: {query.name} does not end with a semicolon")
        query.sql = query.sql[:-1].rstrip()
    return QueryFile(name, text, options["dataset"], options.get("lateness", NO_LATENESS).split(", "), queries)
