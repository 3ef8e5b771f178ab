"""The lowest versions that pyproject.toml allows: its bounds are what was tested, not what was guessed.

What is installed comes from the registry, because nothing else here needs these versions.
"""

from importlib.metadata import version
from pathlib import Path

import pytest

from tests.package.packaged import environment, run
from tests.support.processes import ROOT

BOUNDS = ("pydantic==2.12.0", "sqlalchemy==2.1.0", "asyncpg==0.32.0", "aiokafka==0.14.0", "alembic==1.20.0")
TOOLS = ("hypothesis", "jsonschema", "pytest-timeout")
MODELS = (
    "tests/unit/test_models.py",
    "tests/integration/test_models_database.py",
    "tests/integration/test_models_database_constraints.py",
    *(f"tests/queries/test_{name}.py" for name in ("results", "sessions", "pool", "statements", "visibility")),
    *(f"tests/queries/test_{name}.py" for name in ("writing", "bulk_writing")),
)
ELSEWHERE = "not containers and not session-embedded and not transaction-embedded"
"""Poolers and containers are the same with every version of a Python package."""


@pytest.fixture(scope="module")
def lowest(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, its extras at their lowest versions, and what our tests import."""
    return environment(
        tmp_path_factory.mktemp("lowest"),
        ("--resolution=lowest-direct", "-r", ROOT / "pyproject.toml", "--extra=testing"),
        tuple(f"{tool}=={version(tool)}" for tool in TOOLS),
        ("--no-deps", wheel),
    )


def passes(python: Path, *tests: str) -> None:
    done = run(python, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-k", ELSEWHERE, *tests, cwd=ROOT)
    assert " passed" in done.stdout


def test_these_are_the_lowest(lowest: Path, tmp_path: Path) -> None:
    code = "from importlib.metadata import version; import sys; print(*(f'{n}=={version(n)}' for n in sys.argv[1:]))"
    names = [bound.partition("==")[0] for bound in BOUNDS]
    assert run(lowest, "-c", code, *names, cwd=tmp_path).stdout.split() == list(BOUNDS)


def test_the_contract_holds(lowest: Path) -> None:
    passes(lowest, "tests/contract")


@pytest.mark.timeout(400)
def test_models_and_a_consumer_work(lowest: Path) -> None:
    passes(lowest, *MODELS, "tests/integration/test_consume.py")
