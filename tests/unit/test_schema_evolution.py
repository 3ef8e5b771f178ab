"""Changes of a contract of each kind: the verdict, and the sentence that names what breaks."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reelsync.events.evolution import Compatibility, UnreadableContractError, compare, read_contract
from reelsync.events.json_schema import DIALECT, SIDES, event_schema

Sides = dict[str, dict[str, Any]]
Change = Callable[[dict[str, Any]], Any]

VIDEO = "video.created"


def contract(
    folder: Path, *changes: Change, name: str = VIDEO, version: int = 1, sides: tuple[str, ...] = SIDES
) -> Path:
    """The contract of one type, with `changes` made to the data of its schemas."""
    for side in SIDES:
        schema = copy.deepcopy(event_schema(VIDEO, side))
        for change in changes if side in sides else ():
            change(schema["properties"]["data"])
        (folder / side).mkdir(parents=True, exist_ok=True)
        (folder / side / f"{name}.{version}.json").write_text(json.dumps(schema))
    return folder


def verdict(old: Path, new: Path) -> Compatibility:
    (result,) = compare(read_contract(old), read_contract(new))
    return result


def told(old: Path, new: Path) -> tuple[str, list[str]]:
    result = verdict(old, new)
    return result.verdict, [f"{found.direction}: {found.sentence}" for found in result.breaks]


def setting(field: str, **keywords: Any) -> Change:
    """A change of what the schema of a field says; None takes a keyword away."""

    def change(data: dict[str, Any]) -> None:
        schema = data["properties"][field] | keywords
        data["properties"][field] = {name: part for name, part in schema.items() if part is not None}

    return change


def adding(field: str, schema: dict[str, Any], *, required: bool = False) -> Change:
    def change(data: dict[str, Any]) -> None:
        data["properties"][field] = schema
        data["required"] = [*data["required"], *([field] if required else [])]

    return change


def removing(field: str) -> Change:
    def change(data: dict[str, Any]) -> None:
        del data["properties"][field]
        data["required"] = [name for name in data["required"] if name != field]

    return change


def optional(field: str) -> Change:
    return lambda data: data["required"].remove(field)


def required(field: str) -> Change:
    return lambda data: data["required"].append(field)


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


def one_schema(file: Path, **schema: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"type": "object"} | schema))
    return file


@pytest.mark.parametrize(
    ("closed", "expected", "reason"),
    [
        (True, "BACKWARD", "forward: a was added, and old readers are closed"),
        (
            False,
            "FORWARD",
            'backward: a is restricted to {"type": "string"}: the old contract is open, and allowed more',
        ),
    ],
)
def test_one_schema_for_both_sides_follows_its_content_model(
    closed: bool, expected: str, reason: str, tmp_path: Path
) -> None:
    """As Confluent's registry decides: an added optional field, in a closed and in an open content model."""
    old = one_schema(tmp_path / "old.json", additionalProperties=not closed)
    fields = {"a": {"type": "string"}}
    new = one_schema(tmp_path / "new.json", additionalProperties=not closed, properties=fields)
    found, (sentence,) = told(old, new)
    assert (found, sentence.startswith(reason)) == (expected, True), sentence


def test_a_closed_schema_that_loses_a_field_breaks_what_was_written(tmp_path: Path) -> None:
    fields = {"a": {"type": "string"}}
    old = one_schema(tmp_path / "old.json", additionalProperties=False, properties=fields)
    new = one_schema(tmp_path / "new.json", additionalProperties=False)
    assert told(old, new) == ("FORWARD", ["backward: a was removed, and new readers are closed"])


def test_references_inside_a_document_are_followed(tmp_path: Path) -> None:
    old = one_schema(tmp_path / "old.json", properties={"a": {"type": "string", "maxLength": 5}})
    new = one_schema(
        tmp_path / "new.json",
        properties={"a": {"$ref": "#/$defs/a~1b"}},
        **{"$defs": {"a/b": {"$ref": "#/$defs/text"}, "text": {"type": "string", "maxLength": 5}}},
    )
    assert verdict(old, new).verdict == "FULL"


def test_a_reference_to_itself_is_not_decided(tmp_path: Path) -> None:
    tree = {"properties": {"child": {"$ref": "#"}, "size": {"type": "integer"}}}
    old = one_schema(tmp_path / "old.json", **tree)
    new = one_schema(
        tmp_path / "new.json", **(tree | {"properties": tree["properties"] | {"size": {"type": "string"}}})
    )
    found = told(old, new)
    assert found[0] == "NONE"
    assert "backward: child.child uses $ref in the new contract" in " ".join(found[1])


def test_a_directory_of_plain_schemas_is_a_contract(tmp_path: Path) -> None:
    for name in ("order.placed", "order.paid.2"):
        one_schema(tmp_path / f"{name}.json")
    assert {name: list(versions) for name, versions in read_contract(tmp_path).items()} == {
        "order.placed": [1],
        "order.paid": [2],
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a schema: a schema is an object"),
        ('{"$schema": "http://json-schema.org/draft-07/schema#"}', "must be in JSON Schema 2020-12"),
        ('{"exclusiveMinimum": true}', "exclusiveMinimum has a value that JSON Schema 2020-12 does not allow"),
        ('{"properties": {"a": {"required": true}}}', "required has a value that"),
        ('{"$ref": "#/$defs/none"}', "has no target"),
        ("[" * 100_000, "is nested too deep"),
    ],
    ids=["JSON", "array", "dialect", "draft 4", "nested", "reference", "deep"],
)
def test_what_is_no_schema_is_named(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text(content)
    with pytest.raises(UnreadableContractError, match=said.replace("$", r"\$")) as caught:
        read_contract(tmp_path)
    assert str(tmp_path / "order.json") in str(caught.value)


def test_a_directory_without_schemas_and_a_missing_side_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableContractError, match="holds no schemas"):
        read_contract(tmp_path / "empty")
    (contract(tmp_path / "half") / "reader" / f"{VIDEO}.1.json").unlink()
    with pytest.raises(UnreadableContractError, match=r"reader.video\.created\.1\.json is missing"):
        read_contract(tmp_path / "half")


def test_the_dialect_of_our_own_schemas_is_the_one_compared() -> None:
    assert DIALECT == "https://json-schema.org/draft/2020-12/schema"
