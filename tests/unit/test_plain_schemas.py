"""Schemas of other contracts than ours are compared too: single files, directories of files, and what is no schema."""

import json
from pathlib import Path
from typing import Any

import pytest

from reelsync.events.evolution import UnreadableContractError, read_contract
from reelsync.events.json_schema import DIALECT
from tests.support.contract_changes import VIDEO, contract, told, verdict


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
