"""A difference between two contracts, as a sentence about the change."""

import json
from typing import Any, Literal, NamedTuple

from .differences import Difference, Rule

Direction = Literal["backward", "forward"]

_LONGEST = 80


class _Wording(NamedTuple):
    """What to say of one kind of difference.

    Backward, writers have the old contract and readers the new one. Forward, it is the other way round.
    """

    backward: str
    forward: str


_BOUND = _Wording(
    "tightened {keyword} from {written} to {read}",
    "loosened {keyword} from {read} to {written}: old readers still enforce the old one",
)
_REWRITTEN = _Wording(
    "changed its {keyword} from {written} to {read}: old values may not match",
    "changed its {keyword} from {read} to {written}: old readers may refuse new values",
)
_TOLD: dict[Rule, _Wording] = {
    "required": _Wording(
        "is required now: events of the old contract may lack it", "may be left out now: old readers require it"
    ),
    "missing": _Wording(
        "was added as a required field: events of the old contract lack it", "was removed: old readers require it"
    ),
    "field": _Wording("was removed, and new readers are closed", "was added, and old readers are closed"),
    "open": _Wording(
        "is restricted to {read}: the old contract is open, and allowed more",
        "is no longer restricted to {read}: old readers expect that",
    ),
    "type": _Wording(
        "narrowed its type: {written} was allowed, now {listed}",
        "widened its type: {written} is allowed now, old readers accept {listed}",
    ),
    "value": _Wording("lost the value {written}", "gained the value {written}: old readers do not know it"),
    "values": _Wording(
        "is limited to {listed} now", "is no longer limited to {listed}: old readers expect one of them"
    ),
    "lower_bound": _BOUND,
    "upper_bound": _BOUND,
    "multiple": _BOUND,
    "unique": _BOUND,
    "pattern": _REWRITTEN,
    "format": _REWRITTEN,
    "undecided": _Wording(
        "uses {keyword} in the new contract, which cannot be decided here: it counts as breaking",
        "uses {keyword} in the old contract, which cannot be decided here: it counts as breaking",
    ),
}


def sentence(found: Difference, direction: Direction) -> str:
    """What changed at the path, and which side cannot read it."""
    template: str = getattr(_TOLD[found.rule], direction)
    sentence_end = template.format(
        keyword=found.keyword, written=_shown(found.written), read=_shown(found.read), listed=_listed(found.read)
    )
    return f"{found.path or 'the whole'} {sentence_end}"


def _listed(parts: Any) -> str:
    return " or ".join(map(_shown, parts)) if isinstance(parts, list) and parts else _shown(parts)


def _shown(part: Any) -> str:
    text = "none" if part is None else part if isinstance(part, str) else json.dumps(part)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
