"""`reelsync demo`."""

from typing import Annotated

import typer

from reelsync.consumer.cli.terminal import JsonOption, run_async


def demo(
    events: Annotated[int, typer.Option(min=1_000, help="About so many events.")] = 60_000,
    seed: Annotated[int, typer.Option(help="Another seed, another day.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the servers running until Ctrl-C.")] = False,  # noqa: FBT002
    json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Publish a made-up day to embedded servers, consume it, and verify every row. Needs the extra `demo`.

    Example: reelsync demo --events 100000 --seed 7
    """
    from demo.run import run_demo  # noqa: PLC0415 - the extra may not be installed

    if not run_async(run_demo(events=events, seed=seed, keep=keep, as_json=json)):
        raise typer.Exit(1)
