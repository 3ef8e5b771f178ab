"""BACKWARD, FORWARD, FULL or NONE for each type, and a sentence for each breaking change.

A new contract is backward compatible if its readers can read what writers of the old contract wrote. It is forward
compatible if readers of the old contract can read what its writers write. FULL means both, and NONE means neither.
Source of the definitions: Confluent, "Schema Evolution and Compatibility".

At Confluent, writers and readers have the same schema. Here each side has its own, so that a field can be added: the
new schema lets writers send it, and the old schema lets readers ignore a field that they do not know.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from .contracts import Contract, Sides
from .differences import Difference
from .inclusion import differences
from .sentences import Direction, sentence

Verdict = Literal["FULL", "BACKWARD", "FORWARD", "NONE"]


class Break(NamedTuple):
    """One breaking change. `path` leads from the event down to the field, with dots."""

    direction: Direction
    path: str
    rule: str
    sentence: str


class Compatibility(NamedTuple):
    """The verdict on one type, and the changes that prevent a better one."""

    type: str
    verdict: Verdict
    breaks: list[Break]

    def satisfies(self, required: Verdict) -> bool:
        """Whether the verdict is `required` or better. Everything is at least NONE."""
        return required in {"NONE", self.verdict} or self.verdict == "FULL"


def compare(old: Contract, new: Contract) -> list[Compatibility]:
    """The verdict on every type that is in one of the contracts or in both, sorted by name."""
    return [_compared(name, old.get(name, {}), new.get(name, {})) for name in sorted(old.keys() | new.keys())]


def _compared(name: str, old: dict[int, Sides], new: dict[int, Sides]) -> Compatibility:
    breaks = [*_versions(name, old, new)]
    for version in sorted(old.keys() & new.keys()):
        breaks += _breaks("backward", differences(old[version].writer, new[version].reader))
        breaks += _breaks("forward", differences(new[version].writer, old[version].reader))
    return Compatibility(name, _verdict({one.direction for one in breaks}), breaks)


def _versions(name: str, old: dict[int, Sides], new: dict[int, Sides]) -> Iterator[Break]:
    """What breaks because a type or a version was added or removed: readers refuse what they do not know."""
    if not new:
        yield Break("backward", "", "type_removed", f"{name} was removed: new readers refuse what is in the log")
    elif not old:
        yield Break("forward", "", "type_added", f"{name} was added: old readers do not know it")
    else:
        for version in sorted(old.keys() - new.keys()):
            removed = f"version {version} was removed: new readers refuse what is in the log"
            yield Break("backward", "", "version_removed", removed)
        for version in sorted(new.keys() - old.keys()):
            yield Break("forward", "", "version_added", f"version {version} was added: old readers do not know it")


def _breaks(direction: Direction, found: list[Difference]) -> list[Break]:
    return list(dict.fromkeys(Break(direction, one.path, one.rule, sentence(one, direction)) for one in found))


def _verdict(broken: set[Direction]) -> Verdict:
    if len(broken) == len(("backward", "forward")):
        return "NONE"
    if "backward" in broken:
        return "FORWARD"
    return "BACKWARD" if "forward" in broken else "FULL"
