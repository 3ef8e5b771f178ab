"""docs/reading.md tells the truth: its snippets run, find something, and send the SQL that it shows."""

import os
import subprocess
import sys
from collections.abc import Sequence
from uuid import uuid4

from sqlalchemy import event

from reelsync.models import Place, queries
from tests.queries.documented import run, shown, snippets
from tests.queries.merged import merge
from tests.queries.reader import Reader
from tests.queries.story import DAY, EVENTS, id_of, user_id
from tests.support.builders import START
from tests.support.processes import ROOT
from tests.support.writing import GROUP


async def test_every_snippet_runs_and_sends_what_the_page_shows(operator_url: str, reader: Reader) -> None:
    await merge(reader.engine, *EVENTS)
    names = {
        "url": operator_url,
        "user_id": user_id(1),
        "video_id": id_of(1),
        "ids": [user_id(1), user_id(2)],
        "since": START,
        "until": START + 10 * DAY,
        "now": START + 10 * DAY,
        "new_id": uuid4(),
        "sent": Place("video-events", 0, 0),
        "group": GROUP,
    }
    sent: list[str] = []
    for number, snippet in enumerate(snippets()):
        before = dict(names)
        sent.clear()
        await run(snippet.code, names)
        if number == 0:
            # From here on the page's own engine is listened to.
            event.listen(
                names["engine"].sync_engine, "before_cursor_execute", lambda _c, _cursor, sql, *_: sent.append(sql)
            )
        if snippet.sql is not None:
            assert shown(sent) == snippet.sql, snippet.code
        changed = {name: value for name, value in names.items() if before.get(name) is not value}
        for name, value in changed.items():
            if isinstance(value, Sequence | queries.Page):
                assert value if isinstance(value, Sequence) else value.items, f"{name} is empty: {snippet.code}"
    await names["session"].close()
    await names["engine"].dispose()


def test_every_query_is_on_the_page() -> None:
    code = "\n".join(snippet.code for snippet in snippets() if snippet.sql)
    assert [name for name in queries.__all__ if name[0].islower() and f"queries.{name}(" not in code] == []


def script_of_the_readme(database: str) -> subprocess.CompletedProcess[str]:
    script = (ROOT / "README.md").read_text().split("<!-- reader -->\n```python\n")[1].split("```")[0]
    env = os.environ | {"REELSYNC_DATABASE__URL": database}
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )


async def test_the_script_of_the_readme_runs(operator_url: str, reader: Reader) -> None:
    await merge(reader.engine, *EVENTS)
    done = script_of_the_readme(operator_url)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["user_1", "user_2"]
