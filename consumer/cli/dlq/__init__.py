"""`reelsync dlq`: the commands for dead letters."""

from typing import ClassVar

from reelsync.consumer.cli.lazy import Commands, LazyGroup, new_app


class _Letters(LazyGroup):
    commands_by_name: ClassVar[Commands] = {
        "list": "dlq.show:list_letters",
        "show": "dlq.show:show",
        "redrive": "dlq.redrive:redrive",
        "discard": "dlq.closing:discard",
        "restore": "dlq.closing:restore",
        "export": "dlq.transfer:export",
        "import": "dlq.transfer:import_lines",
        "purge": "dlq.purge:purge",
    }


app = new_app(_Letters, "Dead letters: records that could not be applied as they are.", add_completion=False)
