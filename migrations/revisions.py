"""The revisions that this version of reelsync has, as their files say it.

A consumer asks for them once, when it starts. Alembic would import all of itself and of them to answer: 7 MB of every
worker, for a comparison of two names.
"""

import re
from pathlib import Path

SCRIPTS = Path(__file__).parent

_REVISION = re.compile(r"""^revision = ["']([^"']+)["']$""", re.MULTILINE)
_BEFORE = re.compile(r"""^down_revision = ["']([^"']+)["']$""", re.MULTILINE)


def known_revisions() -> frozenset[str]:
    """All of them."""
    return frozenset(_named(_REVISION))


def head_revision() -> str:
    """The newest: the one that no other follows.

    Raises:
        RuntimeError: there is none, or more than one.
    """
    heads = known_revisions() - _named(_BEFORE)
    if len(heads) != 1:
        message = f"there must be one newest revision in migrations/versions, not {len(heads)}"
        raise RuntimeError(message)
    return next(iter(heads))


def _named(pattern: re.Pattern[str]) -> set[str]:
    texts = (path.read_text("utf-8") for path in (SCRIPTS / "versions").glob("*.py"))
    return {found for text in texts for found in pattern.findall(text)}
