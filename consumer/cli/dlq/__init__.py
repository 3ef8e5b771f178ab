"""`reelsync dlq`: the commands for dead letters."""

from reelsync.consumer.cli.declaring import new_app

from . import commands

app = new_app(
    "Dead letters: records that could not be applied as they are.",
    {
        "list": commands.list_letters,
        "show": commands.show,
        "redrive": commands.redrive,
        "discard": commands.discard,
        "restore": commands.restore,
        "export": commands.export,
        "import": commands.import_lines,
        "purge": commands.purge,
    },
)
