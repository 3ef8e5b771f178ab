"""What was done to a letter by hand, and by whom: an entry at the end of its audit."""

from typing import Any, NamedTuple

from sqlalchemy import func, literal_column, type_coerce
from sqlalchemy.dialects.postgresql import JSONB

from .stored import TABLE


class Entry(NamedTuple):
    """Who did something to a letter, and why. `by`: None: the role of the database session."""

    because: str | None
    by: str | None = None


def audited(action: str, entry: Entry) -> Any:  # noqa: ANN401 - an expression for UPDATE
    """The audit with one more entry: `action`, `at`, `by`, `because`."""
    by = literal_column("session_user") if entry.by is None else entry.by
    made = func.jsonb_build_object("action", action, "at", func.now(), "by", by, "because", entry.because)
    return TABLE.c.audit.concat(type_coerce(made, JSONB))
