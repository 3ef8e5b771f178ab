"""Changes of a contract of each kind: the verdict, and the sentence that names what breaks."""

from pathlib import Path

import pytest

from reelsync.events.evolution import compare, read_contract
from tests.support.contract_changes import (
    VIDEO,
    Change,
    adding,
    contract,
    optional,
    removing,
    required,
    setting,
    told,
    verdict,
)

TEXT = {"type": "string", "maxLength": 20}
NUMBER = {"type": "integer", "minimum": 0, "maximum": 9}
KINDS = {"enum": ["short", "long"]}

CASES: dict[str, tuple[list[Change], list[Change], str, list[str]]] = {
    "nothing": ([], [], "FULL", []),
    "optional field added": ([], [adding("mood", TEXT)], "FULL", []),
    "optional field removed": ([], [removing("description")], "FULL", []),
    "required field added": (
        [],
        [adding("mood", TEXT, required=True)],
        "FORWARD",
        ["backward: data.mood was added as a required field: events of the old contract lack it"],
    ),
    "required field removed": (
        [],
        [removing("title")],
        "BACKWARD",
        ["forward: data.title was removed: old readers require it"],
    ),
    "field renamed": (
        [],
        [removing("title"), adding("name", TEXT, required=True)],
        "NONE",
        [
            "backward: data.name was added as a required field: events of the old contract lack it",
            "forward: data.title was removed: old readers require it",
        ],
    ),
    "became required": (
        [],
        [required("language")],
        "FORWARD",
        ["backward: data.language is required now: events of the old contract may lack it"],
    ),
    "became optional": (
        [],
        [optional("title")],
        "BACKWARD",
        ["forward: data.title may be left out now: old readers require it"],
    ),
    "null no longer allowed": (
        [],
        [setting("language", anyOf=None, type="string", maxLength=35, pattern="^[^\\x00]*$")],
        "FORWARD",
        ["backward: data.language narrowed its type: null was allowed, now string"],
    ),
    "null allowed": (
        [],
        [setting("version", type=["integer", "null"])],
        "BACKWARD",
        ["forward: data.version widened its type: null is allowed now, old readers accept integer"],
    ),
    "another type": (
        [],
        [setting("version", type="string", minimum=None, maximum=None)],
        "NONE",
        [
            "backward: data.version narrowed its type: integer was allowed, now string",
            "forward: data.version widened its type: string is allowed now, old readers accept integer",
        ],
    ),
    "text shortened": (
        [],
        [setting("title", maxLength=100)],
        "FORWARD",
        ["backward: data.title tightened maxLength from 200 to 100"],
    ),
    "text lengthened": (
        [],
        [setting("title", maxLength=300)],
        "BACKWARD",
        ["forward: data.title loosened maxLength from 200 to 300: old readers still enforce the old one"],
    ),
    "limit added": (
        [],
        [setting("title", minLength=1)],
        "FORWARD",
        ["backward: data.title tightened minLength from none to 1"],
    ),
    "number's bounds moved": (
        [adding("rank", NUMBER)],
        [adding("rank", NUMBER | {"minimum": 1, "maximum": 10})],
        "NONE",
        [
            "backward: data.rank tightened minimum from 0 to 1",
            "forward: data.rank loosened maximum from 9 to 10: old readers still enforce the old one",
        ],
    ),
    "pattern changed": (
        [],
        [setting("title", pattern="^[a-z]+$")],
        "NONE",
        [
            "backward: data.title changed its pattern from ^[^\\x00]*$ to ^[a-z]+$: old values may not match",
            "forward: data.title changed its pattern from ^[^\\x00]*$ to ^[a-z]+$: old readers may refuse new values",
        ],
    ),
    "value added": (
        [adding("kind", KINDS)],
        [adding("kind", {"enum": ["short", "long", "loop"]})],
        "BACKWARD",
        ["forward: data.kind gained the value loop: old readers do not know it"],
    ),
    "value removed": (
        [adding("kind", KINDS)],
        [adding("kind", {"enum": ["short"]})],
        "FORWARD",
        ["backward: data.kind lost the value long"],
    ),
    "values listed": (
        [adding("kind", TEXT)],
        [adding("kind", KINDS)],
        "FORWARD",
        ["backward: data.kind is limited to short or long now"],
    ),
    "values no longer listed": (
        [adding("kind", KINDS)],
        [adding("kind", TEXT)],
        "BACKWARD",
        ["forward: data.kind is no longer limited to short or long: old readers expect one of them"],
    ),
    "a keyword that is beyond this": (
        [],
        [lambda data: data.update(dependentRequired={"voice_id": ["language"]})],
        "FORWARD",
        [
            (
                "backward: data uses dependentRequired in the new contract, which cannot be decided here: "
                "it counts as breaking"
            ),
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_change_has_its_verdict_and_its_sentence(case: str, tmp_path: Path) -> None:
    before, after, expected, sentences = CASES[case]
    old, new = contract(tmp_path / "old", *before), contract(tmp_path / "new", *after)
    assert told(old, new) == (expected, sentences)


def test_what_is_forbidden_below_the_data_has_its_path(tmp_path: Path) -> None:
    nested = {"type": "object", "properties": {"tags": {"type": "array", "items": TEXT}}}
    shorter = {"type": "object", "properties": {"tags": {"type": "array", "items": TEXT | {"maxLength": 5}}}}
    old, new = contract(tmp_path / "old", adding("extra", nested)), contract(tmp_path / "new", adding("extra", shorter))
    assert told(old, new)[1] == ["backward: data.extra.tags[] tightened maxLength from 20 to 5"]


def test_a_type_removed_or_added_is_a_break(tmp_path: Path) -> None:
    old, new = contract(tmp_path / "old"), contract(tmp_path / "new", name="video.made")
    results = compare(read_contract(old), read_contract(new))
    assert [(one.type, one.verdict, one.breaks[0].sentence) for one in results] == [
        (VIDEO, "FORWARD", "video.created was removed: new readers refuse what is in the log"),
        ("video.made", "BACKWARD", "video.made was added: old readers do not know it"),
    ]


def test_a_second_version_beside_the_first_is_backward_and_instead_of_it_nothing(tmp_path: Path) -> None:
    old = contract(tmp_path / "old")
    contract(tmp_path / "both", removing("title"), version=2)
    assert told(old, contract(tmp_path / "both")) == (
        "BACKWARD",
        ["forward: version 2 was added: old readers do not know it"],
    )
    assert verdict(old, contract(tmp_path / "instead", version=2)).verdict == "NONE"
