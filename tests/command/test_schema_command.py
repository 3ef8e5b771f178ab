"""`reelsync schema`, run as a publisher's CI would: output, and exit codes."""

import json
from pathlib import Path

from reelsync.events.contract_files import SCHEMA_DIRECTORY, contract_files
from tests.support.processes import run_command


def exported(folder: Path) -> Path:
    done = run_command(None, "schema", "export", str(folder))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return folder


def shorten_title(folder: Path) -> None:
    for side in ("writer", "reader"):
        file = folder / side / "video.created.1.json"
        schema = json.loads(file.read_text())
        schema["properties"]["data"]["properties"]["title"]["maxLength"] = 100
        file.write_text(json.dumps(schema))


def test_export_writes_the_contract_without_settings_and_leaves_other_files(tmp_path: Path) -> None:
    other = tmp_path / "contract" / "writer" / "video.created.0.json"
    other.parent.mkdir(parents=True)
    other.write_text("{}")
    done = run_command(None, "schema", "export", str(tmp_path / "contract"), "--json")
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert set(said["files"]) == {*contract_files(), "vectors.jsonl"}
    for path, text in contract_files().items():
        assert (tmp_path / "contract" / path).read_text(encoding="utf-8") == text
    assert other.read_text() == "{}"


def test_export_to_where_nothing_can_be_written_fails_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run_command(None, "schema", "export", str(tmp_path / "file" / "contract"))
    assert (done.returncode, "cannot be written: Not a directory" in done.stderr) == (1, True), done.stderr
    assert "Traceback" not in done.stderr


def test_check_of_the_contract_against_itself_is_full(tmp_path: Path) -> None:
    done = run_command(None, "schema", "check", str(exported(tmp_path)), str(SCHEMA_DIRECTORY), "--require", "full")
    assert done.returncode == 0
    assert "✓ video.created: FULL" in done.stdout
    assert "19 of 19 are at least FULL" in done.stdout


def test_check_names_the_break_and_fails_by_what_is_required(tmp_path: Path) -> None:
    old, new = exported(tmp_path / "old"), exported(tmp_path / "new")
    shorten_title(new)
    done = run_command(None, "schema", "check", str(old), str(new))
    assert done.returncode == 1
    assert "✗ video.created: FORWARD\n    not backward: data.title tightened maxLength from 200 to 100\n" in done.stdout
    assert "✓ video.updated: FULL" in done.stdout
    codes = {
        level: run_command(None, "schema", "check", str(old), str(new), "--require", level, "--json").returncode
        for level in ("none", "forward", "backward", "full")
    }
    assert codes == {"none": 0, "forward": 0, "backward": 1, "full": 1}
    (other_way,) = (run_command(None, "schema", "check", str(new), str(old), "--json"),)
    assert other_way.returncode == 0
    said = json.loads(other_way.stdout)
    assert (said["required"], said["satisfied"]) == ("BACKWARD", True)
    assert [one for one in said["types"] if one["verdict"] != "FULL"] == [
        {
            "type": "video.created",
            "verdict": "BACKWARD",
            "breaks": [
                {
                    "direction": "forward",
                    "path": "data.title",
                    "rule": "upper_bound",
                    "sentence": "data.title loosened maxLength from 100 to 200: old readers still enforce the old one",
                }
            ],
        }
    ]


def test_check_compares_single_schemas() -> None:
    old, new = (SCHEMA_DIRECTORY / side / "video.created.1.json" for side in ("writer", "reader"))
    done = run_command(None, "schema", "check", str(old), str(new))
    assert (done.returncode, "✓ video.created.1.json: BACKWARD" in done.stdout) == (0, True), done.stdout


def test_what_cannot_be_compared_is_a_usage_error(tmp_path: Path) -> None:
    schema = SCHEMA_DIRECTORY / "writer" / "video.created.1.json"
    for old, new, said in (
        (tmp_path / "none", SCHEMA_DIRECTORY, "does not exist"),
        (schema, SCHEMA_DIRECTORY, "a directory with a directory"),
        (tmp_path, SCHEMA_DIRECTORY, "holds no schemas"),
    ):
        done = run_command(None, "schema", "check", str(old), str(new))
        assert (done.returncode, said in done.stderr.replace("\n", " ")) == (2, True), done.stderr
        assert "Traceback" not in done.stderr
