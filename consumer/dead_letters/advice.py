"""What is wrong with a letter, and what to do about it, in sentences without values of the record. Pure."""

from collections.abc import Mapping
from typing import Any

ADVICE = {
    "too_large": "Have the publisher send less; or raise REELSYNC_KAFKA__MAX_VALUE_BYTES and redrive it.",
    "bad_tombstone": "A tombstone has a null value, no ce_ headers, and the id as its key, on a user or video topic.",
    "not_json": "The value is not JSON: correct the publisher's serializer; or export, correct and import it.",
    "not_an_event": "The value is not a CloudEvent: it must be an object with a type. See docs/events.md.",
    "unknown_type": "Deploy a consumer that knows this event type, and redrive; or correct the publisher.",
    "unknown_schema": "Deploy a consumer that knows this dataschema, and redrive.",
    "invalid": "Have the publisher correct these fields and publish the event again; or export, correct and import it.",
    "conflict": "Two live users have one name. It is tried again automatically; if it stays, rename one of them.",
    "refused": "The database refused it. With SQLSTATE 57014 or 53200 it was too slow or too big: look for a trigger "
    "of yours, or raise REELSYNC_DATABASE__STATEMENT_TIMEOUT. Otherwise please report it. Then redrive it.",
}


def problem_lines(detail: Mapping[str, Any]) -> list[str]:
    """Each problem with its path. Without a problem, the detail of the letter, such as a limit or a constraint."""
    problems = detail.get("problems")
    if problems:
        return [f"{problem['path']}: {problem['message']}".removeprefix(": ") for problem in problems]
    return [f"{name.replace('_', ' ')} {value}" for name, value in detail.items() if value is not None]


def sentence(detail: Mapping[str, Any]) -> str:
    """All problems in one line."""
    return "; ".join(problem_lines(detail))
