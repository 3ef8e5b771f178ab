"""`reelsync dlq`: one file for each thing that is done with dead letters."""

from typing import ClassVar

from reelsync.consumer.cli.lazy import Commands, LazyGroup, new_app


class _Letters(LazyGroup):
    commands_by_name: ClassVar[Commands] = {
        "list": "dead_letters.reading:list_letters",
        "show": "dead_letters.reading:show",
        "redrive": "dead_letters.redriving:redrive",
        "discard": "dead_letters.closing:discard",
        "restore": "dead_letters.closing:restore",
        "export": "dead_letters.transfer:export",
        "import": "dead_letters.transfer:import_lines",
        "purge": "dead_letters.purging:purge",
    }


app = new_app(_Letters, "Dead letters: records that could not be applied as they are.", add_completion=False)
