"""The reasons why one schema refuses a document that another one accepts."""

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
    """At `path`, the reader's schema refuses something that the writer's schema allows.

    `written` and `read` are the parts of the two schemas that differ, and `keyword` is the keyword of the reader's
    schema. `rule` says what kind of difference it is. These kinds have names that do not say it all:

    - `required`: readers require a field that writers may leave out.
    - `missing`: readers require a field that writers never send.
    - `field`: writers may send a field that the reader's schema does not have, and it allows no others.
    - `open`: the writer's schema lets fields through that it does not name, and the reader's schema restricts them.
    - `value`: writers may send a value that readers do not list.
    - `values`: readers list the values that they accept, and writers do not.
    - `undecided`: the reader's schema has a keyword that cannot be compared here.
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
