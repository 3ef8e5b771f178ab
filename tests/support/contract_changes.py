"""Contracts with changes made to them, and what a comparison says of two."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reelsync.events.evolution import Compatibility, compare, read_contract
from reelsync.events.json_schema import SIDES, event_schema

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
