"""`make demo`, or `python -m demo`."""

from typing import Annotated

import typer

from demo.run import run_demo
from reelsync.consumer.cli import run_to_exit
from reelsync.consumer.cli.options import JsonOption
from reelsync.consumer.cli.terminal import run_async


def demo(
    events: Annotated[int, typer.Option(min=1_000, help="The approximate number of events.")] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same day.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the servers running until Ctrl-C.")] = False,
    json: JsonOption = False,
) -> None:
    """Publish a made-up day to embedded servers, consume it, and verify every row. `make setup` installs what it needs.

    Example: python -m demo --events 100000 --seed 7
    """
    if not run_async(run_demo(events=events, seed=seed, keep=keep, as_json=json)):
        raise typer.Exit(1)


if __name__ == "__main__":
    run_to_exit(lambda: typer.run(demo))
