"""`reelsync dlq redrive --all`, killing itself as `kill -9` would at one step of its nth transaction.

Arguments: the step (a query name, `before_commit` or `after_commit`), and which time it is reached.
"""

import os
import signal
import sys
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from reelsync.consumer.cli import app
from reelsync.consumer.dead_letters.redrive import Tally

STEP, TRANSACTION = sys.argv[1], int(sys.argv[2])
reached = 0


def reach(step: str) -> None:
    global reached  # noqa: PLW0603
    if step == STEP:
        reached += 1
        if reached == TRANSACTION:
            os.kill(os.getpid(), signal.SIGKILL)


@event.listens_for(Engine, "after_cursor_execute")
def executed(_conn: Any, _cursor: Any, _sql: str, _parameters: Any, context: Any, _many: bool) -> None:
    reach(context.execution_options.get("query_name", ""))


@event.listens_for(Engine, "commit")
def committing(_conn: Any) -> None:
    reach("before_commit")


add = Tally.add


def committed(tally: Tally, outcomes: Any) -> None:
    add(tally, outcomes)
    reach("after_commit")


Tally.add = committed
app(["dlq", "redrive", "--all"])
