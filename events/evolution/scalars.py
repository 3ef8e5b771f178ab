"""Compares what two schemas say of texts, lengths and numbers, one keyword after the other."""

import re
from collections.abc import Iterator
from typing import Any

from .differences import Difference, Rule

Keywords = dict[str, Any]

LENGTHS = {"string": ("minLength", "maxLength"), "array": ("minItems", "maxItems")}
_BOUNDS = (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))


def text_differences(written: Keywords, read: Keywords, path: str) -> Iterator[Difference]:
    """The differences for texts. Patterns must be equal: whether one includes another is not decided here."""
    yield from length_differences("string", written, read, path)
    for keyword in ("pattern", "format"):
        if keyword in read and written.get(keyword) != read[keyword]:
            yield Difference(path, keyword, keyword, written.get(keyword), read[keyword])


def length_differences(kind: str, written: Keywords, read: Keywords, path: str) -> Iterator[Difference]:
    """The differences in the lengths of texts or arrays."""
    least, most = LENGTHS[kind]
    if written.get(least, 0) < read.get(least, 0):
        yield Difference(path, "lower_bound", least, written.get(least), read[least])
    if most in read and (most not in written or written[most] > read[most]):
        yield Difference(path, "upper_bound", most, written.get(most), read[most])


def number_differences(written: Keywords, read: Keywords, path: str) -> Iterator[Difference]:
    """The differences for numbers."""
    for sign, keywords in zip((1, -1), _BOUNDS, strict=True):
        writes, reads = (_tightest(side, keywords, sign) for side in (written, read))
        if reads is not None and (writes is None or writes < reads):
            rule: Rule = "lower_bound" if sign == 1 else "upper_bound"
            keyword = next(name for name in keywords if name in read and sign * read[name] == reads[0])
            yield Difference(path, rule, keyword, None if writes is None else sign * writes[0], read[keyword])
    if "multipleOf" in read and not _divides(read["multipleOf"], written.get("multipleOf")):
        yield Difference(path, "multiple", "multipleOf", written.get("multipleOf"), read["multipleOf"])


def _tightest(side: Keywords, keywords: tuple[str, str], sign: int) -> tuple[float, bool] | None:
    """The tightest lower bound, and whether it is exclusive.

    Upper bounds are found by the same code: with `sign` -1, they are lower bounds of the negative numbers.
    """
    found = [(sign * side[name], name == keywords[1]) for name in keywords if name in side]
    return max(found, default=None)


def _divides(divisor: float, number: float | None) -> bool:
    if number == divisor:
        return True
    return isinstance(divisor, int) and isinstance(number, int) and number % divisor == 0


def value_matches(value: object, pattern: str) -> bool:
    """Whether `pattern` is found in `value`. False where dialects of regular expressions may disagree about it."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        return False
    try:
        return re.search(pattern, value) is not None and re.search(pattern, value, re.ASCII) is not None
    except re.error:
        return False
