"""Options that several commands have."""

from pathlib import Path
from typing import Annotated, Literal

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do what cannot be undone without asking.")]
ArchiveOption = Annotated[
    Path | None,
    typer.Option("--from", metavar="DIR", help="Read what `archive` kept in DIR, and from Kafka only what follows."),
]

Requirement = Literal["none", "backward", "forward", "full"]
"""How compatible a changed schema must be."""
