"""The `reelsync` command: one file for each thing it does."""

import typer

from . import check, dlq, lag, migrate, offsets, publish, rebuild, run, schema, trace, verify, worker
from .terminal import run_to_exit

app = typer.Typer(
    name="reelsync",
    help="Video lifecycle events from Apache Kafka, merged idempotently into PostgreSQL.",
    epilog="Settings come from the environment and .env: see the table in the README. Try: reelsync check",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("run")(run.run)
app.command("worker", hidden=True)(worker.worker)
app.command("migrate")(migrate.migrate)
app.command("check")(check.check)
app.command("publish")(publish.publish)
app.command("lag")(lag.lag)
app.command("trace")(trace.trace)
app.command("verify")(verify.verify)
app.command("rebuild")(rebuild.rebuild)
app.add_typer(dlq.app, name="dlq")
app.add_typer(offsets.app, name="offsets")
app.add_typer(schema.app, name="schema")


def main() -> None:
    """Run the command, and end the process with its exit code."""
    run_to_exit(app)
