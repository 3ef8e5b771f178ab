"""No statement in the code is `other`: each call names its query, and each name is declared and used."""

import ast
from collections.abc import Iterator
from pathlib import Path

from reelsync.consumer.timing.query_names import OTHER, QUERIES
from tests.support.processes import ROOT

SENDING = {"execute", "scalars", "scalar", "stream", "stream_scalars", "exec_driver_sql"}
SENDERS = {"connection", "session"}
ACTIONS = (".merge", ".insert", ".update", ".delete", ".lock")


def sending_calls(source: str) -> Iterator[ast.Call]:
    """Calls that send a statement: a method of a connection's or a session's."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SENDING:
            receiver = ast.unparse(node.func.value).rpartition(".")[2]
            if receiver in SENDERS:
                yield node


def sources() -> list[Path]:
    packages = ("consumer", "models", "demo")
    # A page's statements carry the name of the query that they are of.
    return [path for package in packages for path in (ROOT / package).rglob("*.py") if path.name != "pages.py"]


def test_every_call_in_the_code_names_its_query() -> None:
    calls = [(path, call) for path in sources() for call in sending_calls(path.read_text())]
    assert len(calls) > 15, "the check no longer finds the calls"
    without = [
        f"{path.name}: {ast.unparse(call)}"
        for path, call in calls
        if "execution_options" not in {keyword.arg for keyword in call.keywords}
    ]
    # The bulk UPDATE of the ORM has no use for options.
    assert without == ["writing.py: session.execute(update(model), [dict(row) for row in plain])"]


def test_every_declared_name_is_used() -> None:
    literals = {
        node.value
        for path in sources()
        if path.name != "query_names.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    made_of_parts = {name for name in QUERIES if name.startswith("queries.") or name.endswith(ACTIONS)}
    unused = set(QUERIES) - literals - made_of_parts - {OTHER, "schema.read"}
    assert not unused


def names_given(source: str) -> Iterator[str]:
    """Names that the code gives: in a dict of options, by keyword, or to what makes one of the two."""
    for node in ast.walk(ast.parse(source)):
        given: list[ast.expr] = []
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            given = [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "query_name"]
        elif isinstance(node, ast.Call):
            given = [keyword.value for keyword in node.keywords if keyword.arg == "query_name"]
            if isinstance(node.func, ast.Name) and node.func.id == "_named":
                given += node.args
        yield from (value.value for value in given if isinstance(value, ast.Constant) and isinstance(value.value, str))


def test_every_name_in_the_code_is_declared() -> None:
    given = {name for path in sources() for name in names_given(path.read_text())}
    assert len(given) > 25, "the check no longer finds the names"
    # Those of `reelsync.models.writing` are a table and one of these.
    assert given - set(QUERIES) - {action.removeprefix(".") for action in ACTIONS} == set()


def test_the_check_finds_a_call_without_a_name() -> None:
    found = list(sending_calls("async def f(connection):\n    await connection.execute(text('SELECT 1'))"))
    assert len(found) == 1
    assert not found[0].keywords


def test_every_name_says_what_it_does() -> None:
    assert all(query.operation for name, query in QUERIES.items() if name != OTHER)
    assert {query.collection for query in QUERIES.values()} == {
        "",
        "alembic_version",
        "consumer_offsets",
        "dead_letters",
        "erased_users",
        "erasure_lock",
        "letter_locks",
        "model_usage",
        "user_profiles",
        "users",
        "video_states",
        "videos",
    }
