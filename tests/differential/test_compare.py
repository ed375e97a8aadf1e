"""The comparer itself: equal rows pass in any order, every kind of difference is seen."""

import unittest

from compare import differences
from queries import Query

STRUCT = {"type": "struct", "fields": [{"name": "a", "type": "integer"}, {"name": "b", "type": "double"}]}
LIST = {"type": "array", "elementType": "integer"}
MAP = {"type": "map", "keyType": "string", "valueType": "double"}


class Compare(unittest.TestCase):
    def check(self, kind: object, expected: list, actual: list, same: bool, query: Query | None = None) -> None:
        answer = {"columns": [["x", kind]], "rows": [[value] for value in expected]}
        found = differences(query or Query("q"), answer, [{"x": value} for value in actual])
        self.assertEqual(found == [], same, found)

    def test_rows_are_a_multiset(self) -> None:
        self.check("long", [1, 2, 2], [2, 1, 2], True)
        self.check("long", [1, 2, 2], [2, 1, 1], False)
        self.check("long", [1, 2], [1, 2, 2], False)
        self.check("long", [None, 1], [1, None], True)

    def test_order_counts_where_it_must(self) -> None:
        self.check("long", [1, 2], [2, 1], False, Query("q", ordered=True))

    def test_floats(self) -> None:
        self.check("double", [0.1, 1e20], [1.0000000001e20, 0.1 + 1e-12], True)
        self.check("double", [1.0], [1.00000001], False)
        self.check("double", [1.0], [None], False)
        self.check("double", [float("nan")], [None], True)

    def test_approximate_columns(self) -> None:
        query = Query("q", approximate={"x": 0.05})
        self.check("long", [100], [104], True, query)
        self.check("long", [100], [106], False, query)

    def test_types(self) -> None:
        self.check("long", [1], [1.5], False)
        self.check("long", [1], ["1"], True)
        self.check("string", ["1"], [1], False)
        self.check("boolean", [True], [1], False)
        self.check("decimal(10,2)", ["1.50"], ["1.50"], True)
        self.check("decimal(10,2)", ["1.50"], ["1.51"], False)
        self.check("timestamp", [1_000_000], ["1970-01-01T00:00:01Z"], True)
        self.check("timestamp", [1_000_000], ["1970-01-01T00:00:01"], False)

    def test_nested(self) -> None:
        self.check(STRUCT, [[1, 0.5]], [{"a": 1, "b": 0.5}], True)
        self.check(STRUCT, [[1, 0.5]], [{"b": 0.5, "a": 1}], False)
        self.check(STRUCT, [[1, 0.5]], [{"a": 1, "b": 0.6}], False)
        self.check(LIST, [[1, 2]], [[2, 1]], False)
        self.check(LIST, [[1, None]], [[1, None]], True)
        self.check(MAP, [[["k", 1.0], ["j", None]]], [{"j": None, "k": 1.0}], True)
        self.check(MAP, [[["k", 1.0]]], [{"k": 2.0}], False)


if __name__ == "__main__":
    unittest.main()
