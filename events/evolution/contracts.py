"""Reads contracts from directories and files of JSON Schema."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from .references import Schema, plain

_DIALECTS = ("https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2020-12/schema#")
_NAME = re.compile(r"(.+)\.([1-9][0-9]*)")


class UnreadableContractError(ValueError):
    """A file or directory holds no contract; the message says which, and why."""


class Sides(NamedTuple):
    """The two schemas of one version of a type: what writers may send, and what readers accept."""

    writer: Schema
    reader: Schema


Contract = dict[str, dict[int, Sides]]
"""By type and version, the two schemas."""


def read_contract(path: Path) -> Contract:
    """The contract at `path`, which may be one of three things.

    - A directory with `writer/` and `reader/`, as `reelsync schema export` writes it.
    - Any other directory of schemas. Each schema is then for writers and for readers.
    - One file with a schema for writers and for readers. Its type has no name then.

    In a directory, `video.created.2.json` is version 2 of video.created. A name without a number is version 1.

    Raises:
        UnreadableContractError: there is no contract.
    """
    if path.is_file():
        schema = _read(path)
        return {"": {1: Sides(schema, schema)}}
    writers, readers = path / "writer", path / "reader"
    pairs = (
        _paired(writers, readers)
        if writers.is_dir() or readers.is_dir()
        else {file.stem: (file, file) for file in path.glob("*.json")}
    )
    if not pairs:
        raise UnreadableContractError(f"{path} holds no schemas: name a JSON file, or a directory with some")
    contract: Contract = {}
    for stem, (writer, reader) in sorted(pairs.items()):
        match = _NAME.fullmatch(stem)
        name, version = (match[1], int(match[2])) if match else (stem, 1)
        contract.setdefault(name, {})[version] = Sides(_read(writer), _read(reader))
    return contract


def _paired(writers: Path, readers: Path) -> dict[str, tuple[Path, Path]]:
    names = {file.name for side in (writers, readers) for file in side.glob("*.json")}
    for file in (side / name for name in sorted(names) for side in (writers, readers)):
        if not file.is_file():
            raise UnreadableContractError(f"{file} is missing: each type has a schema for writers and one for readers")
    return {Path(name).stem: (writers / name, readers / name) for name in names}


def _read(file: Path) -> Schema:
    try:
        document: Any = json.loads(file.read_bytes())
        _check_dialect(document)
        return plain(document)
    except OSError as error:
        raise UnreadableContractError(f"{file} cannot be read: {error.strerror}") from None
    except RecursionError:
        raise UnreadableContractError(f"{file} is nested too deep") from None
    except json.JSONDecodeError as error:
        raise UnreadableContractError(f"{file} is not JSON: {error}") from None
    except ValueError as error:
        raise UnreadableContractError(f"{file} is not a schema: {error}") from None


def _check_dialect(document: Any) -> None:
    dialect = document.get("$schema") if isinstance(document, dict) else None
    if dialect is not None and dialect not in _DIALECTS:
        raise ValueError("it must be in JSON Schema 2020-12, the only dialect that can be compared")
