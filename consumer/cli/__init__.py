"""The `reelsync` command: one file for each thing it does."""

import sys

import typer

from benchmarks import __main__
from demo.__main__ import demo
from reelsync.consumer.errors import ReelsyncError

from . import check, dlq, lag, migrate, offsets, publish, rebuild, run, schema, trace, verify, worker
from .terminal import complain

app = typer.Typer(
    name="reelsync",
    help="Video lifecycle events from Apache Kafka, merged idempotently into PostgreSQL.",
    epilog="Settings come from the environment and .env: see the table in the README. Try: reelsync demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("demo")(demo)
app.command("run")(run.run)
app.command("worker", hidden=True)(worker.worker)
app.command("migrate")(migrate.migrate)
app.command("check")(check.check)
app.command("publish")(publish.publish)
app.command("lag")(lag.lag)
app.command("bench")(__main__.bench)
app.command("trace")(trace.trace)
app.command("verify")(verify.verify)
app.command("rebuild")(rebuild.rebuild)
app.add_typer(dlq.app, name="dlq")
app.add_typer(offsets.app, name="offsets")
app.add_typer(schema.app, name="schema")


def main() -> None:
    """Run the command: exit code 0 when it did what was asked, 1 when it could not, 2 when it was asked wrongly."""
    try:
        app()
    except ReelsyncError as error:
        complain(str(error))
        sys.exit(getattr(error, "exit_code", 1))
    except KeyboardInterrupt:
        sys.exit(130)
