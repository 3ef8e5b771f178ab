"""Commands whose modules are imported only when they run; help and completion of a group read their docstrings alone.

Importing what a command needs (SQLAlchemy, aiokafka, Pydantic) takes ten times as long as printing the help.
"""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

HIDDEN = "worker"
"""The command that only a supervisor starts: it is not listed."""

Commands = dict[str, str | typer.Typer]
"""A command's name → `module:function` in this package, or the application of a nested group."""

_WIDTH = 120


def new_app(commands: "type[LazyGroup]", summary: str, **options: Any) -> typer.Typer:
    """An application with the commands of this group."""
    return typer.Typer(
        cls=commands,
        help=summary,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # Importing Rich takes half a second.
        context_settings={"max_content_width": _WIDTH},
        **options,
    )


class LazyGroup(TyperGroup):
    """A group that imports a command when it runs."""

    commands_by_name: ClassVar[Commands] = {}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002, D102 - Click's method
        return list(self.commands_by_name)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002, D102 - likewise
        match self.commands_by_name.get(cmd_name):
            case None:
                return None
            case str() as place:
                summary = _docstring(place).split(". ")[0].partition("\n")[0].removesuffix(".")
                return TyperCommand(cmd_name, short_help=summary, hidden=cmd_name == HIDDEN, rich_markup_mode=None)
            case app:
                group = get_group(app)
                group.name = cmd_name
                return group

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: D102 - likewise
        name, command, rest = super().resolve_command(ctx, args)
        place = self.commands_by_name.get(name or "")
        return name, _imported(str(name), place) if isinstance(place, str) else command, rest


def _docstring(place: str) -> str:
    """The docstring of a function, without importing its module."""
    module, function = _split(place)
    spec = find_spec(module)
    source = Path(str(spec and spec.origin)).read_text("utf-8")
    found = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == function]
    return ast.get_docstring(found[0]) or ""


def _imported(name: str, place: str) -> Any:
    module, function = _split(place)
    act = getattr(import_module(module), function)
    app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings={"max_content_width": _WIDTH})
    # Click wraps every paragraph that does not begin with \b: an example stays one line, to be pasted.
    app.command(name, help=_docstring(place).replace("Example: ", "\b\nExample:\n  "))(act)
    return get_command(app)


def _split(place: str) -> tuple[str, str]:
    module, _, function = place.partition(":")
    return f"{__package__}.{module}", function
