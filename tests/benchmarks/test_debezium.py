"""Debezium's sink takes part where Java and Maven are; elsewhere one line says why it does not."""

import os
from pathlib import Path

import pytest

from benchmarks.contenders import CONTENDERS
from benchmarks.contenders.connect_libraries import LeftOutError, fetch, libraries
from benchmarks.measure import measure
from benchmarks.published_log import published
from benchmarks.run import prepared
from benchmarks.servers import servers
from benchmarks.workloads import WORKLOADS

_JAVA = """echo 'openjdk version "{version}" 2025-04-15' >&2"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are found, still empty. The cache is empty, too."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


@pytest.mark.usefixtures("programs")
def test_without_java_a_line_says_so_and_the_others_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    contenders = [CONTENDERS["debezium"], CONTENDERS["reelsync-1"]]
    assert prepared(contenders) == contenders[1:]
    assert capsys.readouterr() == (
        "",
        "Debezium JDBC sink 3.6, 2 tasks is left out: Java 17 or later is not installed\n",
    )


@pytest.mark.parametrize(("version", "known"), [("11.0.2", "11"), ("1.8.0_392", "8")])
def test_an_old_java_is_named(programs: Path, version: str, known: str) -> None:
    _program(programs / "java", _JAVA.format(version=version))
    with pytest.raises(LeftOutError, match=f"it needs Java 17 or later, and `java` is {known}"):
        fetch()


def test_what_keeps_the_libraries_away_is_named(programs: Path) -> None:
    _program(programs / "java", _JAVA.format(version="21.0.1"))
    with pytest.raises(LeftOutError, match=r"Maven .*is not installed"):
        fetch()
    _program(programs / "mvn", "exit 1")
    with pytest.raises(LeftOutError, match="could not fetch"):
        fetch()
    assert not libraries().exists()


def test_libraries_that_are_there_need_no_maven(programs: Path) -> None:
    _program(programs / "java", _JAVA.format(version="17.0.15"))
    libraries().mkdir(parents=True)
    fetch()


async def test_the_sink_brings_a_captured_log_into_the_same_table_as_reelsync() -> None:
    try:
        fetch()
    except LeftOutError as error:
        pytest.skip(str(error))
    workload = WORKLOADS["captured"]
    with servers() as started:
        async with published(started, workload, seed=1, events=3_000, partitions=2, form="changes") as log:
            turns = [await measure(started, log, CONTENDERS[name]) for name in ("reelsync-1", "debezium")]
    assert [turn.wrong_rows for turn in turns] == [0, 0]
    ours, theirs = turns
    assert theirs.client_cpu > 0
    assert theirs.peak_memory > ours.peak_memory
    assert 0 < theirs.rows_written <= 3_000


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!{os.path.realpath('/bin/sh')}\n{script}\n")
    path.chmod(0o755)
