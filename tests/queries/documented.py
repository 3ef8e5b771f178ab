"""The snippets of docs/reading.md, and the SQL that it says they send."""

import ast
import re
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from tests.support.processes import ROOT

PAGE = ROOT / "docs" / "reading.md"
_FENCE = re.compile(r"```(python|sql)\n(.*?)```", re.DOTALL)
_MANY_COLUMNS = re.compile(r"SELECT (DISTINCT )?\w+\.\w+(?: AS \w+)?(?:, \w+\.\w+(?: AS \w+)?){7,}")
_TYPES = "TIMESTAMP WITH TIME ZONE|UUID|BIGINT|SMALLINT|INTEGER|FLOAT|NUMERIC|VARCHAR|BOOLEAN|JSONB?"
_PARAMETER = re.compile(rf"(\$\d+)::(?:{_TYPES})(?:\[\])?")
_CHANGES = re.compile(r"\(SELECT found\.video_id.*? AS changes", re.DOTALL)
"""What all queries of the states of videos have in common."""
_INSERTED = re.compile(r"(INSERT INTO \w+) \(.*", re.DOTALL)


@dataclass
class Snippet:
    """A fenced block of Python, and the block of SQL behind it, if there is one."""

    code: str
    sql: str | None = None


def snippets() -> list[Snippet]:
    found: list[Snippet] = []
    for language, text in _FENCE.findall(PAGE.read_text()):
        if language == "python":
            found.append(Snippet(text))
        else:
            found[-1].sql = text
    return found


def shown(sent: list[str]) -> str:
    """Statements as the page shows them, shorter.

    Long lists of columns, and what another statement of the snippet has too, are one sign; parameters have no types.
    """
    first, *others = [_shortened(sql) for sql in sent] or [""]
    return ";\n".join([first, *(_CHANGES.sub("(…) AS changes", sql) for sql in others)]) + "\n"


def _shortened(sql: str) -> str:
    lines = [line.strip() for line in sql.splitlines()]
    columns = _MANY_COLUMNS.sub(r"SELECT \1…", "\n".join(lines))
    return _INSERTED.sub(r"\1 …", _PARAMETER.sub(r"\1", columns))


async def run(code: str, names: dict[str, Any]) -> None:
    """Run a snippet, with `await` at its top level."""
    compiled = compile(code, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(compiled, names)
    if isawaitable(result):
        await result
