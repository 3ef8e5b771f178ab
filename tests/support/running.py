"""A consumer at work inside a test, and waiting for facts: of the plugin, by the name that the tests have for it."""

from reelsync.testing.running import (
    DEADLINE_SECONDS,
    TABLES,
    consuming,
    eventually,
    publish,
    rows_of,
    tables_of,
    topic_of,
    until_applied,
)

__all__ = [
    "DEADLINE_SECONDS",
    "TABLES",
    "consuming",
    "eventually",
    "publish",
    "rows_of",
    "tables_of",
    "topic_of",
    "until_applied",
]
