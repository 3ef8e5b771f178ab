"""Pages tell the truth: parts that are made from the code are up to date, examples are valid, links lead somewhere."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree as ET

import pytest
from pydantic import BaseModel

from docs.command_table import command_table, commands, examples_of
from docs.page import part_of
from docs.settings_table import settings_table
from docs.table_diagram import ROWS, STATE, table_diagram
from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.status.document import Status
from reelsync.consumer.transform.decode import Rejection
from reelsync.events import EVENT_DATA, canonical_id, parse_event
from tests.support.builders import record
from tests.support.decoding import decode

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EVENTS = (DOCS / "events.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
FIGURES = DOCS / "figures"
ROOMS = {path.name for path in ROOT.iterdir()}


@pytest.mark.parametrize(
    ("page", "part", "made"),
    [
        ("settings.md", "settings", settings_table),
        ("commands.md", "commands", command_table),
        ("tables.md", "rows", lambda: table_diagram(ROWS)),
        ("tables.md", "state", lambda: table_diagram(STATE)),
    ],
)
def test_what_is_made_from_the_code_is_up_to_date(page: str, part: str, made: Callable[[], str]) -> None:
    assert part_of(page, part) == made(), "make docs"


def test_every_command_has_an_example_that_names_it() -> None:
    found = dict(commands())
    assert {"run", "dlq list", "offsets reset"} <= found.keys()
    assert [name for name, command in found.items() if f"reelsync {name}" not in " ".join(examples_of(command))] == []


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    broken = []
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
        path = page.parent / target if target else page
        if not path.exists() or (anchor and anchor not in _anchors(path)):
            broken.append(f"{target}#{anchor}")
    assert broken == []


_PATH = r"`((?:[a-z_]+/)+(?:[\w.-]+\.(?:py|md|html|sql|yml|toml|json))?|[\w.-]+\.(?:toml|yml))`"


@pytest.mark.parametrize(
    "page", ["ARCHITECTURE.md", "http.md", "reading.md", "publishing.md", "events.md", "debezium.md"]
)
def test_paths_that_a_page_names_exist(page: str) -> None:
    """As text, without a link: `consumer/loop.py`."""
    named = [path for path in re.findall(_PATH, (DOCS / page).read_text()) if path.split("/")[0] in ROOMS]
    assert [path for path in named if not (ROOT / path).exists()] == []
    assert named or page != "ARCHITECTURE.md"


def test_the_index_leads_to_every_page() -> None:
    index = (DOCS / "index.md").read_text()
    assert [page.name for page in DOCS.glob("*.md") if page.name != "index.md" and f"({page.name})" not in index] == []


def test_the_drawing_can_be_read_as_xml() -> None:
    names = [drawing.name for drawing in FIGURES.glob("*.svg") if ET.parse(drawing).getroot().tag.endswith("svg")]
    assert "way-of-an-event.svg" in names


def test_the_tombstone_shown_erases() -> None:
    block = EVENTS.split("<!-- tombstone -->\n```text\n")[1].split("```")[0]
    shown = dict(line.split(maxsplit=1) for line in block.splitlines())
    assert shown == {"key": canonical_id(shown["key"]), "value": "null"}
    decoded = decode(record(None, key=shown["key"].encode()), DEFAULT_TOPICS, 1)
    assert not isinstance(decoded, Rejection)
    assert decoded["type"] == "video.tombstone"


def test_every_type_is_in_the_table() -> None:
    assert [name for name in EVENT_DATA if f"`{name}`" not in EVENTS.split("## Event types")[1]] == []


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


def _texts_of_the_code() -> tuple[list[str], set[str]]:
    """Every text in the code, with `…` for what is filled in, and the names of what is logged as more than a detail."""
    texts, logged = [], set()
    rooms = ("consumer", "models", "migrations", "reelsync_testing")
    for path in [path for room in rooms for path in (ROOT / room).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                texts.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"_log.warning", "_log.error"}:
                (name,) = (argument.value for argument in node.args if isinstance(argument, ast.Constant))
                logged.add(name)
    return texts, logged


def test_messages_of_the_troubleshooting_page_are_those_of_the_code() -> None:
    page = (DOCS / "troubleshooting.md").read_text()
    texts, logged = _texts_of_the_code()
    first_cells = re.findall(r"(?m)^\| (`.+?`)(?: \(`\w+`\))? \|", page)
    shown = [message for cell in first_cells for message in re.findall(r"`((?:[^`]|`reelsync [a-z]+`)+)`", cell)]
    parts = [part.strip() for message in shown for part in message.split("…") if len(part.strip()) > 3]
    assert len(parts) > 80
    assert [part for part in parts if not any(part in text for text in texts)] == []
    assert sorted(logged - set(shown)) == []
