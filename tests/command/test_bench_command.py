"""What `make bench` says before it measures anything. Measuring is tested in tests/benchmarks."""

from tests.support.processes import run_command


def test_a_workload_and_a_contender_that_are_not_there_are_named_with_those_that_are() -> None:
    for option, name, known in (("--workloads", "lifecycles", "lifecycle, unique"), ("--contenders", "flink", "orm")):
        done = run_command(None, option, name, module="benchmarks")
        assert (done.returncode, done.stdout) == (2, "")
        assert f"there is no {name}, only " in done.stderr
        assert known in done.stderr


def test_options_come_from_the_environment_too() -> None:
    done = run_command(None, module="benchmarks", WORKLOADS="nothing")
    assert done.returncode == 2
    assert "there is no nothing" in done.stderr
