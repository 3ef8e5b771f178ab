"""`reelsync dlq`: one file for each thing that is done with dead letters."""

import typer

from . import closing, purge, redrive, show, transfer

app = typer.Typer(help="Dead letters: records that could not be applied as they are.", no_args_is_help=True)
app.command("list")(show.list_letters)
app.command("show")(show.show)
app.command("redrive")(redrive.redrive)
app.command("discard")(closing.discard)
app.command("restore")(closing.restore)
app.command("export")(transfer.export)
app.command("import")(transfer.import_lines)
app.command("purge")(purge.purge)
