"""The reasons for which one schema refuses a document that another accepts."""

import json
from typing import Any, Literal, NamedTuple

Rule = Literal[
    "required",
    "missing",
    "field",
    "open",
    "type",
    "value",
    "values",
    "lower_bound",
    "upper_bound",
    "multiple",
    "pattern",
    "format",
    "unique",
    "undecided",
]


class Difference(NamedTuple):
    """A difference at `path`: the reader's schema `read` refuses something that the writer's schema `written` allows.

    Both are parts of schemas, not of documents. `rule` says which kind it is: `required` is a field that may be left
    out, `missing` one that is never written, `field` one that a closed schema does not have, `open` one that the
    writer's schema does not name but lets through; `value` is one that is not listed, `values` a list where the writer
    has none. `keyword` is that of the reader's schema.
    """

    path: str
    rule: Rule
    keyword: str
    written: Any
    read: Any


def canonical(value: Any) -> str:
    """Text that is equal for equal JSON values: 1 is 1.0, true is not 1 (JSON Schema 2020-12 core, section 4.2.2)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{canonical(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(value)
