"""The README tells the truth: its table of settings is the code's, its example and its event are valid."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from docs.settings_table import settings_table
from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.status.document import Status
from reelsync.consumer.transform.decode import Rejection, decode
from reelsync.events import EVENT_DATA, aggregate_id, canonical_id, is_binary, parse_event
from tests.support.builders import record

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_table_of_settings_is_the_code() -> None:
    shown = README.split("<!-- settings -->\n")[1].split("\n<!-- /settings -->")[0]
    assert shown == settings_table(), "make docs"


def test_the_event_shown_is_valid() -> None:
    (event,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    assert parse_event(event.encode())["type"] == "video.completed"


def _record_shown(name: str) -> dict[str, str]:
    block = README.split(f"<!-- {name} -->\n```text\n")[1].split("```")[0]
    return dict(line.split(maxsplit=1) for line in block.splitlines())


def test_the_binary_event_shown_is_valid() -> None:
    shown = _record_shown("binary")
    key, value = shown.pop("key"), shown.pop("value").encode()
    headers = [(name, content.encode()) for name, content in shown.items()]
    assert is_binary(value, headers)
    event = parse_event(value, headers)
    assert (event["type"], aggregate_id(event)) == ("video.progressed", key)


def test_the_tombstone_shown_erases() -> None:
    shown = _record_shown("tombstone")
    assert shown == {"key": canonical_id(shown["key"]), "value": "null"}
    decoded = decode(record(None, key=shown["key"].encode()), DEFAULT_TOPICS, 1)
    assert not isinstance(decoded, Rejection)
    assert decoded["type"] == "video.erased"


def test_every_type_is_in_the_table() -> None:
    assert [name for name in EVENT_DATA if f"`{name}`" not in README] == []


def test_every_example_line_is_a_valid_event() -> None:
    lines = (ROOT / "examples" / "lifecycle.jsonl").read_bytes().splitlines()
    assert {parse_event(line)["type"].partition(".")[0] for line in lines} == {"video", "user", "model_usage"}


def _fields(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _fields(part)


def test_every_field_of_the_status_is_explained() -> None:
    explained = (ROOT / "docs" / "http.md").read_text()
    fields = set(_fields(Status))
    assert {"partitions", "fix", "seconds_ago", "in_use"} <= fields
    assert [name for name in fields if not re.search(rf"`{name}(\[\])?`", explained)] == []
