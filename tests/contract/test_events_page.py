"""docs/events.md shows records that are accepted, and says no more of the command than it does."""

import json
import re
from pathlib import Path

from reelsync.events import aggregate_id, is_binary, parse_event
from reelsync.events.evolution import Break

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text()


def _shown(name: str, language: str) -> str:
    return PAGE.split(f"<!-- {name} -->\n```{language}\n")[1].split("```")[0]


def test_both_records_shown_are_the_same_event() -> None:
    record = dict(line.split(maxsplit=1) for line in _shown("binary", "text").splitlines())
    key, value = record.pop("key"), record.pop("value").encode()
    headers = [(name, content.encode()) for name, content in record.items()]
    assert is_binary(value, headers)
    event = parse_event(value, headers)
    assert event == parse_event(_shown("structured", "json").encode())
    assert aggregate_id(event) == key


def test_the_answer_shown_has_the_fields_of_a_break() -> None:
    (block,) = re.findall(r"```json\n(\{\"required\".*?)```", PAGE, re.DOTALL)
    (shown,) = json.loads(block)["types"][0]["breaks"]
    assert tuple(shown) == Break._fields
