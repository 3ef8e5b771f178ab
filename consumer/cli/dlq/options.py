"""The options of the commands for dead letters."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from reelsync.consumer.records import Reason

if TYPE_CHECKING:
    from reelsync.consumer.dead_letters.selection import Selection

REASONS: tuple[str, ...] = get_args(Reason)

PlaceArgument = Annotated[str | None, typer.Argument(metavar="PLACE", help="TOPIC/PARTITION/OFFSET of one letter.")]

ReasonOption = Annotated[
    list[str] | None, typer.Option("--reason", help=f"Only letters with this reason: {', '.join(REASONS)}.")
]

TypeOption = Annotated[list[str] | None, typer.Option("--type", help="Only letters of this event type.")]

TopicOption = Annotated[list[str] | None, typer.Option("--topic", help="Only letters from this topic.")]

AggregateOption = Annotated[str | None, typer.Option(help="Only letters about the user, video or usage with this id.")]

SinceOption = Annotated[
    str | None, typer.Option(help="Only letters first seen at this time or later: ISO 8601, or 2h for two hours ago.")
]

UntilOption = Annotated[
    str | None, typer.Option(help="Only letters first seen before this time: ISO 8601, or 30m for 30 minutes ago.")
]

CorrectedOption = Annotated[bool, typer.Option("--corrected", help="Only letters that were corrected by hand.")]

UntriedOption = Annotated[
    bool, typer.Option("--untried", help="Only letters not redriven since they were parked or corrected.")
]

AllOption = Annotated[
    bool, typer.Option("--all", help="Select every letter; required if nothing else selects letters.")
]

BecauseOption = Annotated[str, typer.Option(help="The reason, kept in the letter's audit. No personal data.")]

ByOption = Annotated[str | None, typer.Option(help="Who does it. Default: the role of the database session.")]

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Change nothing; only count the letters.")]


@dataclass(frozen=True)
class Filters:
    """The options with which every command selects letters, as they were given."""

    place: PlaceArgument = None
    reason: ReasonOption = None
    event_type: TypeOption = None
    topic: TopicOption = None
    aggregate: AggregateOption = None
    since: SinceOption = None
    until: UntilOption = None

    def selection(self, **more: Any) -> "Selection":
        """The letters that these options select."""
        from .selection import selection_of

        return selection_of(**asdict(self), **more)


def filtering(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of Filters in place of its first parameter."""
    own = inspect.signature(command)
    shared = [
        inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=option.type)
        for option in fields(Filters)
    ]

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        filters = Filters(**{option.name: given.pop(option.name) for option in shared})
        command(filters, **given)

    _, *others = own.parameters.values()
    others = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in others]
    wrapped.__signature__ = own.replace(parameters=[*shared, *others])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in [*shared, *others]}
    return wrapped
