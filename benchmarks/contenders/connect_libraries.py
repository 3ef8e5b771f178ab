"""The libraries of Kafka Connect and of Debezium's sink: Maven fetches them once, into the user's cache."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from reelsync.consumer.errors import ReelsyncError

_PROJECT = Path(__file__).with_name("connect.pom.xml")
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
_LEAST_JAVA = 17


class LeftOutError(ReelsyncError):
    """A contender cannot be started on this machine; the message says why."""


def libraries() -> Path:
    """Their folder, with `worker` and `plugins` in it."""
    versions = "-".join(re.findall(r"<version>([\d.]+\d(?:\.Final)?)</version>", _PROJECT.read_text("utf-8"))[1:])
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "reelsync-benchmarks" / f"connect-{versions}"


def fetch() -> None:
    """Check that there is Java, and fetch the missing libraries, with progress on standard error.

    Raises:
        LeftOutError: there is no Java 17, or Maven could not fetch the libraries.
    """
    _check_java()
    place = libraries()
    if place.exists():
        return
    if shutil.which("mvn") is None:
        raise LeftOutError("its libraries are missing, and Maven (mvn), which fetches them, is not installed")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as partial:
        whole = Path(partial) / "whole"
        _copy(whole / "worker")
        for archive in (whole / "worker").glob("*.tar.gz"):
            with tarfile.open(archive) as files:
                files.extractall(whole / "plugins", filter="data")
            archive.unlink()
        whole.rename(place)


def _check_java() -> None:
    try:
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr  # noqa: S607
    except (FileNotFoundError, subprocess.CalledProcessError):
        raise LeftOutError(f"Java {_LEAST_JAVA} or later is not installed") from None
    found = _VERSION.search(said)
    if found is None or int(found[1]) < _LEAST_JAVA:
        raise LeftOutError(f"it needs Java {_LEAST_JAVA} or later, and `java` is {found[1] if found else 'unknown'}")


def _copy(directory: Path) -> None:
    print("Maven fetches Kafka Connect and Debezium's sink, 115 MB, once", file=sys.stderr)
    command = ["mvn", "--batch-mode", f"--file={_PROJECT}", "dependency:copy-dependencies"]
    options = ["-DincludeScope=runtime", f"-DoutputDirectory={directory}"]
    if subprocess.run([*command, *options], stdout=sys.stderr, check=False).returncode:  # noqa: S603
        raise LeftOutError("Maven could not fetch its libraries; its output is above")
