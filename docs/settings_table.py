"""`python -m docs.settings_table` writes the table of settings, made from the code, into the README."""

import re
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from reelsync.consumer.settings import Settings


def settings_table() -> str:
    """A row for each setting: its variable, its default, what it is."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for section, section_field in Settings.model_fields.items():
        model = section_field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            rows += [_row(section, name, field) for name, field in model.model_fields.items()]
    return "\n".join(rows)


def _row(section: str, name: str, field: FieldInfo) -> str:
    variable = f"REELSYNC_{section.upper()}__{name.upper()}"
    return f"| `{variable}` | {_default(field)} | {field.description} |"


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None or SecretStr in get_args(field.annotation):
        return "–"
    if isinstance(field.default, dict):
        return "the three topics above"
    return f"`{field.default}`"


def _update(page: Path) -> None:
    table = f"<!-- settings -->\n{settings_table()}\n<!-- /settings -->"
    page.write_text(re.sub("(?s)<!-- settings -->.*<!-- /settings -->", lambda _: table, page.read_text()))


if __name__ == "__main__":
    _update(Path(__file__).parents[1] / "README.md")
