"""Whether Manade's rows are Spark's: as multisets, floats to 1e-9 relative, approximate columns within their error."""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation

from queries import Query

RELATIVE = 1e-9
# Half a unit in the last place of a 32-bit float.
RELATIVE_FLOAT = 1e-6
SHOWN = 3


def differences(query: Query, answer: dict, rows: list[dict]) -> list[str]:
    """`rows` are Manade's, as its NDJSON says; empty: they are equal."""
    columns = answer["columns"]
    found = names(columns, rows)
    if found:
        return found
    try:
        actual = [[value(kind, row[name]) for name, kind in columns] for row in rows]
    except (ValueError, TypeError, KeyError, InvalidOperation) as error:
        return [f"a value is not of its column's type: {error!r}"]
    expected = [[spark_value(kind, item) for (_, kind), item in zip(columns, row)] for row in answer["rows"]]
    if len(actual) != len(expected):
        found.append(f"{len(actual)} rows, Spark has {len(expected)}")
    kinds = [(kind, query.approximate.get(name, 0.0)) for name, kind in columns]
    missing, surplus = expected, actual
    if query.ordered:
        pairs = [(e, a) for e, a in zip(expected, actual) if not row_equal(kinds, e, a)]
        missing, surplus = [e for e, _ in pairs], [a for _, a in pairs]
    else:
        missing, surplus = unmatched(kinds, expected, actual)
    found += [f"only Spark has   {show(columns, row)}" for row in missing[:SHOWN]]
    found += [f"only Manade has  {show(columns, row)}" for row in surplus[:SHOWN]]
    return found


def names(columns: list, rows: list[dict]) -> list[str]:
    expected = [name for name, _ in columns]
    for row in rows[:1]:
        if list(row) != expected:
            return [f"columns {list(row)}, Spark has {expected}"]
    return []


def unmatched(kinds: list, expected: list, actual: list) -> tuple[list, list]:
    """The rows without a partner. Exactly equal rows are paired first; what is left is paired by its exact columns, then by
    trying: floats that differ in the last digits are few."""
    left = Counter(map(repr, actual))
    missing = []
    for row in expected:
        if left[repr(row)]:
            left[repr(row)] -= 1
        else:
            missing.append(row)
    surplus = []
    for row in reversed(actual):
        if left[repr(row)]:
            left[repr(row)] -= 1
            surplus.append(row)
    exact = [i for i, (kind, error) in enumerate(kinds) if not error and not holds_float(kind)]
    buckets: dict[str, list] = {}
    for row in surplus:
        buckets.setdefault(repr([row[i] for i in exact]), []).append(row)
    lonely = []
    for row in missing:
        bucket = buckets.get(repr([row[i] for i in exact]), [])
        partner = next((i for i, other in enumerate(bucket) if row_equal(kinds, row, other)), None)
        if partner is None:
            lonely.append(row)
        else:
            bucket.pop(partner)
    return lonely, [row for bucket in buckets.values() for row in bucket]


def row_equal(kinds: list, expected: list, actual: list) -> bool:
    return all(equal(kind, error, e, a) for (kind, error), e, a in zip(kinds, expected, actual))


def equal(kind: object, error: float, expected: object, actual: object) -> bool:
    if expected is None or actual is None:
        return expected is actual
    if error:
        return math.isclose(float(expected), float(actual), rel_tol=error, abs_tol=error)
    if kind in ("float", "double"):
        return math.isclose(expected, actual, rel_tol=RELATIVE_FLOAT if kind == "float" else RELATIVE, abs_tol=1e-12)
    if isinstance(kind, dict) and kind["type"] == "struct":
        return all(equal(f["type"], 0.0, e, a) for f, e, a in zip(kind["fields"], expected, actual))
    if isinstance(kind, dict) and kind["type"] == "array":
        return len(expected) == len(actual) and all(equal(kind["elementType"], 0.0, e, a) for e, a in zip(expected, actual))
    if isinstance(kind, dict) and kind["type"] == "map":
        pairs = list(zip(expected, actual))
        return len(expected) == len(actual) and all(ek == ak and equal(kind["valueType"], 0.0, ev, av) for (ek, ev), (ak, av) in pairs)
    return expected == actual


def holds_float(kind: object) -> bool:
    return "float" in json.dumps(kind) or "double" in json.dumps(kind)


def value(kind: object, item: object) -> object:
    """A value of Manade's JSON in the form that `spark_value` gives."""
    if item is None:
        return None
    if isinstance(kind, dict):
        return nested(kind, item)
    if kind in ("float", "double"):
        return float(item)
    if kind.startswith("decimal"):
        return format(Decimal(str(item)), "f")
    if kind in ("byte", "short", "integer", "long"):
        if isinstance(item, (bool, float)) or not isinstance(item, (int, str, Decimal)) or Decimal(str(item)) % 1:
            raise TypeError(f"{item!r} for a {kind}")
        return int(item)
    if kind == "timestamp":
        if not item.endswith("Z"):
            raise ValueError(f"{item!r} is not in UTC")
        return micros(item[:-1])
    if kind == "timestamp_ntz":
        return micros(item)
    if not isinstance(item, bool if kind == "boolean" else str):
        raise TypeError(f"{item!r} for a {kind}")
    return item


def nested(kind: dict, item: object) -> object:
    if kind["type"] == "array":
        return [value(kind["elementType"], e) for e in item]
    if kind["type"] == "map":
        pairs = item.items() if isinstance(item, dict) else ((pair["key"], pair["value"]) for pair in item)
        return sorted(([map_key(kind["keyType"], k), value(kind["valueType"], v)] for k, v in pairs), key=repr)
    fields = [field["name"] for field in kind["fields"]]
    if list(item) != fields:
        raise ValueError(f"a struct with fields {list(item)}, Spark has {fields}")
    return [value(field["type"], item[field["name"]]) for field in kind["fields"]]


def map_key(kind: object, key: object) -> object:
    """Keys of JSON objects are text."""
    if kind in ("byte", "short", "integer", "long") and isinstance(key, str):
        return int(key)
    if kind == "boolean" and isinstance(key, str):
        return key == "true"
    return value(kind, key)


def spark_value(kind: object, item: object) -> object:
    """NaN and the infinities are null in Manade's JSON."""
    if item is None:
        return None
    if kind in ("float", "double"):
        return float(item) if math.isfinite(item) else None
    if not isinstance(kind, dict):
        return item
    if kind["type"] == "array":
        return [spark_value(kind["elementType"], e) for e in item]
    if kind["type"] == "map":
        return sorted(([k, spark_value(kind["valueType"], v)] for k, v in item), key=repr)
    return [spark_value(field["type"], e) for field, e in zip(kind["fields"], item)]


def micros(text: str) -> int:
    delta = datetime.fromisoformat(text).replace(tzinfo=timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def show(columns: list, row: list) -> str:
    return json.dumps({name: item for (name, _), item in zip(columns, row)}, ensure_ascii=False, default=str)[:400]
