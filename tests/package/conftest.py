"""The wheel, and an environment that has it and our dependencies, and nothing of this checkout."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.package.packaged import PACKAGES, environment, run, uv
from tests.support.processes import ROOT

_WHERE_PACKAGES_GO = "import sysconfig; print(sysconfig.get_path('purelib'))"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: a build leaves files behind, and would take up those that an older one left."""
    copy = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "src", copy / "src", symlinks=True, ignore=shutil.ignore_patterns("*.egg-info"))
    for folder in PACKAGES.values():
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir=dist", cwd=copy)
    (built,) = (copy / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="session")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel. The dependencies are links to ours: nothing is downloaded."""
    directory = tmp_path_factory.mktemp("fresh")
    venv.create(directory, with_pip=False)
    python = directory / "bin" / "python"
    packages = Path(run(python, "-c", _WHERE_PACKAGES_GO, cwd=directory).stdout.strip())
    for found in Path(sysconfig.get_path("purelib")).iterdir():
        if "reelsync" not in found.name and found.name != "__pycache__":
            (packages / found.name).symlink_to(found)
    uv("pip", "install", "--python", python, "--no-deps", "--no-index", wheel)
    return python


@pytest.fixture
def in_fresh(fresh: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run that Python in an empty directory."""
    return lambda *arguments: run(fresh, *arguments, cwd=tmp_path)


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, and what it needs without any extra."""
    return environment(tmp_path_factory.mktemp("base"), (wheel, "--constraint", ROOT / "requirements.txt"))
