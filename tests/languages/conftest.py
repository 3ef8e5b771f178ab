"""A project for each other language, with its dependencies as the lock files name them."""

import shutil
from pathlib import Path

import pytest

from tests.languages.toolchains import need, run

_HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def node_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the packages of `node/package-lock.json`."""
    need("node", "npm")
    directory = tmp_path_factory.mktemp("languages") / "node"
    shutil.copytree(_HERE / "node", directory)
    run("npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", cwd=directory)
    return directory


@pytest.fixture(scope="session")
def go_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the Go module, with its `go.sum`."""
    need("go")
    directory = tmp_path_factory.mktemp("languages") / "go"
    shutil.copytree(_HERE / "go", directory)
    return directory


@pytest.fixture(scope="session")
def java_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the Maven project; `classpath` in it names its dependencies."""
    need("java", "mvn")
    directory = tmp_path_factory.mktemp("languages") / "java"
    shutil.copytree(_HERE / "java", directory)
    run("mvn", "-q", "-B", "dependency:build-classpath", "-Dmdep.outputFile=classpath", cwd=directory)
    return directory
