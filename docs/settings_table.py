"""`python -m docs.settings_table` writes the table of settings, made from the code, into docs/settings.md."""

from typing import get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs.page import write_part
from reelsync.consumer.settings import Settings
from reelsync.consumer.settings.variables import settings_by_variable


def settings_table() -> str:
    """A row for each setting: its variable, its default, what it is."""
    rows = [
        f"| `{name}` | {_default(field)} | {field.description} |"
        for name, field in settings_by_variable(Settings).items()
    ]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None or SecretStr in get_args(field.annotation):
        return "–"
    if isinstance(field.default, dict):
        return "the [default topics](events.md#a-record)"
    return f"`{field.default}`"


if __name__ == "__main__":
    write_part("settings.md", "settings", settings_table())
