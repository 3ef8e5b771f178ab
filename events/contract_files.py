"""The files of the contract, as they stand in `events/schema` and as `reelsync schema export` writes them.

writer/video.created.1.json    what publishers of version 1 of the type may send
reader/video.created.1.json    what consumers of it accept
asyncapi.json                  topics, keys and messages
vectors.jsonl                  records, the verdict on each, and what an accepted one sets
released/0.1.0/                the same, frozen when that version was released
"""

import json
from pathlib import Path

from .asyncapi import asyncapi_document
from .contract import EVENT_DATA
from .json_schema import SIDES, event_schema

CONTRACT_VERSION = "0.1.0"
"""The release that the contract is part of, or will be."""

SCHEMA_DIRECTORY = Path(__file__).parent / "schema"


def contract_files() -> dict[str, str]:
    """The files of the current versions: relative path, with slashes, to text."""
    schemas = {
        f"{side}/{name}.{cls.schema_version}.json": event_schema(name, side)
        for side in SIDES
        for name, cls in EVENT_DATA.items()
    }
    documents = schemas | {"asyncapi.json": asyncapi_document(CONTRACT_VERSION)}
    return {path: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for path, document in documents.items()}


def export_contract(directory: Path) -> list[str]:
    """Write the files, over those of the same name, and give their paths. Files of older versions stay.

    Raises:
        OSError: the directory cannot be written.
    """
    vectors = (SCHEMA_DIRECTORY / "vectors.jsonl").read_text(encoding="utf-8")
    files = contract_files() | {"vectors.jsonl": vectors}
    for path, text in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return list(files)


def released_contracts(directory: Path = SCHEMA_DIRECTORY) -> list[Path]:
    """The directories of released versions, the oldest first."""
    return sorted(
        (path for path in (directory / "released").iterdir() if path.is_dir()),
        key=lambda path: tuple(map(int, path.name.split("."))),
    )
