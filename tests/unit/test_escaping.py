"""What strangers send is text to a terminal, and the same value to a machine."""

import json
import logging
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import structlog
from rich.text import Text

from reelsync.consumer.cli.terminal import out, print_json, print_rows
from reelsync.consumer.escaping import json_bytes, printable, printable_lines
from reelsync.consumer.settings import LogSettings
from reelsync.consumer.telemetry.logs import configure_logs

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\x7f\u202egpj\u2066\u2069\u200e\u200f\u061c\u200b\u2028\u2029\ufeff"
SPEAKS = {"Cc", "Cf", "Zl", "Zp"}


def speaks(said: str, *, layout: str = "\n") -> set[str]:
    """What of it a terminal would not show as a character of its own."""
    return {one for one in said if unicodedata.category(one) in SPEAKS and one not in layout}


def test_every_control_format_character_and_separator_is_escaped_and_nothing_else() -> None:
    for category in map(chr, range(sys.maxunicode + 1)):
        escaped = printable(category) != category
        if unicodedata.category(category) in {*SPEAKS, "Cs"}:
            assert escaped, hex(ord(category))
        elif escaped:
            assert unicodedata.category(category) == "Cn", hex(ord(category))


def test_text_that_is_harmless_stays_as_it_is() -> None:
    assert (
        printable("Grüße, Ωμέγα, 日本, مرحبا, \u00a0 – [red] :smile:")
        == "Grüße, Ωμέγα, 日本, مرحبا, \u00a0 – [red] :smile:"
    )
    assert printable("a\nb\x1b") == "a\\nb\\x1b"
    assert printable_lines("a\nb\x1b") == "a\nb\\x1b"


@pytest.mark.parametrize("indent", [False, True])
@pytest.mark.parametrize("value", [HOSTILE, "\n", "\U000e0041", "é", "\ud800 alone", 2**70, 'a"\\\n'])
def test_json_means_the_same_and_says_nothing(value: object, *, indent: bool) -> None:
    document = {"é": value, "list": [value, None]}
    encoded = json_bytes(document, indent=indent).decode()
    assert json.loads(encoded) == document
    assert not speaks(encoded)


def test_what_is_printed_is_text_whatever_way_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(HOSTILE, ["a"], [{"a": HOSTILE}])
    print_json({HOSTILE: HOSTILE})
    out.print(HOSTILE, markup=False)
    out.print(Text(HOSTILE), soft_wrap=True)
    said = capsys.readouterr()
    assert not speaks(said.out + said.err)
    assert "owned" in said.out


def test_a_row_is_a_line_however_narrow_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    place, time = "model-usage-events/11/104200", datetime(2026, 1, 5, 11, tzinfo=timezone(timedelta(hours=1)))
    print_rows(
        "Title",
        ["place", "lag", "at"],
        [{"place": place, "lag": 12_345, "at": time}, dict.fromkeys(("place", "lag", "at"))],
    )
    said = capsys.readouterr()
    assert said.err == "Title\n"
    assert said.out.splitlines() == [
        "place                            lag  at",
        f"{place}  12,345  2026-01-05T10:00:00.000Z",
        "–                                  –  –",
    ]


@contextmanager
def logged_as(style: str) -> Iterator[None]:
    root, before = logging.getLogger(), logging.getLogger().handlers
    try:
        configure_logs(LogSettings.model_validate({"format": style}))
        yield
    finally:
        root.handlers = before
        structlog.reset_defaults()


@pytest.mark.parametrize("style", ["console", "json"])
def test_logs_of_ours_and_of_libraries_are_text(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    secret: Any = "the value of a variable"
    with logged_as(style):
        structlog.get_logger("reelsync.test").warning("test." + HOSTILE, topic=HOSTILE, error=ValueError(HOSTILE))
        logging.getLogger("library").warning("of a library: %s", HOSTILE)
        try:
            datetime.fromisoformat(HOSTILE)
        except ValueError:
            logging.getLogger("library").exception("failed")
    said = capsys.readouterr().err
    assert not speaks(said), speaks(said)
    assert said.count("owned") >= 4
    assert secret not in said
