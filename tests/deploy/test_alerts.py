"""The alert rules: promtool's own tests, names that exist, and a section of the runbook for each."""

import re
from collections import Counter
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from reelsync.consumer.app import Consumer
from reelsync.consumer.settings import Settings
from tests.deploy.expressions import labels_named, metrics_named, unknown_names
from tests.deploy.prometheus import ROOT, RULES, alerts, promtool

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
TESTS = ROOT / "tests" / "deploy" / "alerts_test.yml"


@pytest.fixture(scope="module")
def registry() -> CollectorRegistry:
    """That of a consumer that was made and not started."""
    database = {"url": "postgresql+asyncpg://nobody@localhost/nothing"}
    return Consumer(Settings.model_validate({"database": database})).metrics.registry


def anchors(markdown: str) -> list[str]:
    """The anchors of headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.*)$", markdown)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def section(anchor: str) -> str:
    """The text under a heading, up to the next."""
    parts = re.split(r"(?m)^(?=## )", RUNBOOK)
    return next(part for part in parts if anchors(part.splitlines()[0]) == [anchor])


def test_the_rules_are_valid() -> None:
    promtool("check", "rules", RULES)


def test_the_configuration_of_compose_is_valid_and_has_the_rules() -> None:
    assert "SUCCESS: 1 rule files found" in promtool("check", "config", RULES.with_name("prometheus.yml"))


def test_the_rules_fire_when_they_should_and_not_when_they_should_not() -> None:
    promtool("test", "rules", TESTS)


def test_each_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = [case for test in yaml.safe_load(TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    fired = Counter(case["alertname"] for case in cases if case["exp_alerts"])
    silent = Counter(case["alertname"] for case in cases if not case["exp_alerts"])
    assert {alert["alert"] for alert in alerts()} == fired.keys() == silent.keys()


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_each_alert_names_only_what_is_measured(alert: dict[str, Any], registry: CollectorRegistry) -> None:
    assert metrics_named(alert["expr"])
    assert list(unknown_names(alert["expr"], registry)) == []


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_each_alert_says_what_it_is_and_has_its_own_section_of_the_runbook(alert: dict[str, Any]) -> None:
    said = alert["annotations"]
    assert said["summary"].endswith(".")
    assert len(said["summary"].split()) > 5
    page, _, anchor = said["runbook_url"].partition("#")
    assert page == "https://reelsync.example/docs/runbook.md"
    assert anchors(RUNBOOK).count(anchor) == 1
    assert f"`{alert['alert']}`" in section(anchor)


def test_no_two_alerts_share_a_section() -> None:
    urls = [alert["annotations"]["runbook_url"] for alert in alerts()]
    assert len(set(urls)) == len(urls)


def test_names_in_an_expression_are_found(registry: CollectorRegistry) -> None:
    """The check itself: it would find a name that does not exist."""
    expression = (
        'sum by (job, tpoic) (rate(reelsync_lag_record{job="reelsync_x", kind=~"a|b"}[5m])) > 10 and on (job) up'
    )
    assert metrics_named(expression) == {"reelsync_lag_record", "up"}
    assert labels_named(expression) == {"job", "tpoic", "kind"}
    wrong = 'sum by (tpoic) (reelsync_lag_records{topic="a"}) / reelsync_fenced'
    assert list(unknown_names(wrong, registry)) == ["reelsync_fenced", "tpoic"]


def test_operations_lists_every_alert_and_gives_their_links_another_address() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert "sed -i 's#https://reelsync.example#" in page
    listed = re.findall(r"(?m)^\| `(Reelsync\w+)` \|", page)
    assert sorted(listed) == sorted(alert["alert"] for alert in alerts())


@pytest.mark.parametrize("page", ["runbook.md", "operations.md"])
def test_links_lead_to_pages_and_headings_that_exist(page: str) -> None:
    docs = ROOT / "docs"
    links = re.findall(r"\]\(([^)#]*)#?([^)]*)\)", (docs / page).read_text())
    assert links
    for path, anchor in links:
        target = docs / (path or page)
        assert target.is_file(), path
        assert not anchor or anchor in anchors(target.read_text()), (path, anchor)
