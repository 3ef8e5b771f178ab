"""How commands are declared: names, options and help, without what they do.

Importing what a command needs (SQLAlchemy, aiokafka, Rich) takes ten times as long as printing its help. So what
declares commands imports little besides Typer, and a command imports its own file when it runs.
"""

import inspect
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

HIDDEN = "worker"
"""The command that only a supervisor starts: it is not listed."""


class _Group(TyperGroup):
    """A group that does not look at its own options when a command comes first, because then none is given.

    Typer imports Pydantic to convert even what was left out, which takes longer than all the rest of a command's help.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] in self.commands:
            self.params, self.add_help_option = [], False
        return super().parse_args(ctx, args)


def new_app(summary: str, commands: dict[str, Callable[..., None]], **options: Any) -> typer.Typer:
    """An application with these commands, by name. The docstring of each is its help."""
    app = typer.Typer(
        cls=_Group,
        help=summary,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # Importing Rich takes half a second.
        context_settings={"max_content_width": 120},
        **options,
    )
    for name, command in commands.items():
        text = inspect.getdoc(command) or ""
        app.command(
            name,
            # Click wraps every paragraph that does not begin with \b: an example stays one line, to be pasted.
            help=text.replace("Example: ", "\b\nExample:\n  "),
            short_help=text.split(". ")[0].partition("\n")[0].removesuffix("."),
            hidden=name == HIDDEN,
        )(command)
    return app
