"""The README tells the truth: its table of settings is the code's, its example and its event are valid."""

import re
from pathlib import Path

from consumer.settings_table import settings_table
from events import EVENT_DATA, parse_event

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_table_of_settings_is_the_code() -> None:
    shown = README.split("<!-- settings -->\n")[1].split("\n<!-- /settings -->")[0]
    assert shown == settings_table(), "make docs"


def test_the_event_shown_is_valid() -> None:
    (event,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    assert parse_event(event.encode())["type"] == "video.completed"


def test_every_type_is_in_the_table() -> None:
    assert [name for name in EVENT_DATA if f"`{name}`" not in README] == []


def test_every_example_line_is_a_valid_event() -> None:
    lines = (ROOT / "examples" / "lifecycle.jsonl").read_bytes().splitlines()
    assert {parse_event(line)["type"].partition(".")[0] for line in lines} == {"video", "user", "model_usage"}
