"""The vectors say what the consumer does: its decoder's verdict, its projections' facets, what the schemas let pass."""

import json
from typing import Any

import orjson
import pytest

from reelsync.consumer.transform.decode import Rejection
from reelsync.consumer.transform.projections import MERGES, targets_of
from reelsync.events import EVENT_DATA
from tests.contract.accepted_vectors import accepted
from tests.contract.refused_vectors import refused
from tests.contract.vector_records import Input
from tests.contract.vectors import FILE, decoded, lines, plain, vector_of

ACCEPTED, REFUSED = tuple(accepted()), tuple(refused())
KEPT = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


def test_the_file_is_what_its_makers_say() -> None:
    assert FILE.read_text(encoding="utf-8") == lines(), "make schema, and review the diff"


def test_there_are_enough_of_them_and_each_has_a_name_of_its_own() -> None:
    assert min(len(ACCEPTED), len(REFUSED)) >= 100
    assert len({vector["name"] for vector in KEPT}) == len(KEPT) == len(ACCEPTED) + len(REFUSED)
    assert {vector["type"] for vector in KEPT if "type" in vector} == {*EVENT_DATA, "user.tombstone", "video.tombstone"}
    assert {vector["reason"] for vector in KEPT if "reason" in vector} == {
        *("not_json", "not_an_event", "unknown_type", "unknown_schema", "invalid", "bad_tombstone", "too_large")
    }


@pytest.mark.parametrize("given", REFUSED, ids=lambda given: given.name)
def test_what_is_refused_becomes_a_dead_letter_for_the_reason_given(given: Input) -> None:
    verdict = decoded(given)
    assert isinstance(verdict, Rejection)
    paths = [problem["path"] for problem in verdict.detail.get("problems", [{"path": ""}])]
    assert (verdict.reason, paths[0]) == (given.reason, given.path)


@pytest.mark.parametrize("given", ACCEPTED, ids=lambda given: given.name)
def test_what_is_accepted_sets_the_facets_given(given: Input) -> None:
    event = decoded(given)
    assert not isinstance(event, Rejection), event.detail
    vector = vector_of(given)
    if "fact" in vector:
        assert set(vector["fact"]) >= {*event["data"]} - {"usage_id"}
        return
    assert vector["facets"] == _projected(event)


def _projected(event: Any) -> dict[str, Any]:
    """The facets by the consumer's own projections. A column that they leave out is NULL."""
    facets: dict[str, Any] = {}
    for target in targets_of(event):
        for facet, fill in target.facets:
            row: dict[str, Any] = dict.fromkeys(MERGES[target.table].facets[facet])
            fill(row, event)
            facets[facet] = plain({name: _unfragmented(value) for name, value in row.items()})
    return facets


def _unfragmented(value: Any) -> Any:
    return json.loads(orjson.dumps(value)) if isinstance(value, orjson.Fragment) else value


@pytest.mark.parametrize("vector", KEPT, ids=[vector["name"] for vector in KEPT])
def test_schemas_agree_with_the_verdict_or_the_vector_says_why_they_cannot(vector: dict[str, Any]) -> None:
    schemas, is_accepted = vector.get("schemas"), vector["verdict"] == "accepted"
    if schemas is None:
        assert not is_accepted or vector["value"] is None
        return
    assert schemas["reader"] or not schemas["writer"], "what may be written may be read"
    assert schemas["reader"] == (is_accepted or "beyond_schema" in vector)
