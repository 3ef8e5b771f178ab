"""The Grafana dashboard: its shape, its expressions, and that it shows all that is measured."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from reelsync.consumer.app import Consumer
from reelsync.consumer.settings import Settings
from tests.deploy.expressions import metrics_named, series_of, unknown_names
from tests.deploy.prometheus import ROOT, promtool

GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "reelsync.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
WIDTH = 24


@pytest.fixture(scope="module")
def registry() -> CollectorRegistry:
    """That of a consumer that was made and not started."""
    database = {"url": "postgresql+asyncpg://nobody@localhost/nothing"}
    return Consumer(Settings.model_validate({"database": database})).metrics.registry


def expressions() -> Iterator[tuple[str, str]]:
    """Each panel's title and expressions, with a value for what Grafana fills in."""
    for panel in PANELS:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m").replace("$job", ".+")


def test_every_expression_is_promql(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": expr} for number, (_, expr) in enumerate(expressions())]
    assert len(rules) > 25
    assert not [expr for _, expr in expressions() if "$" in expr]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", path)


def test_every_expression_names_only_what_is_measured(registry: CollectorRegistry) -> None:
    wrong = {title: list(unknown_names(expr, registry)) for title, expr in expressions()}
    assert {title: names for title, names in wrong.items() if names} == {}


def test_every_metric_is_on_it(registry: CollectorRegistry) -> None:
    series = series_of(registry)
    shown = {series[name].name for _, expr in expressions() for name in metrics_named(expr)}
    assert {metric.name for metric in series.values()} - shown == set()


def test_legends_name_labels_that_the_expression_keeps() -> None:
    for panel in PANELS:
        for target in panel.get("targets", ()):
            kept = {
                name
                for inside in re.findall(r"\bby \(([^)]*)\)", target["expr"])
                for name in re.findall(r"\w+", inside)
            }
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept, panel["title"]


def test_panels_have_ids_titles_and_places_of_their_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert {panel["type"] for panel in PANELS} == {"row", "stat", "timeseries"}
    for panel in PANELS:
        assert panel["title"]
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= WIDTH
    for one, other in combinations([panel["gridPos"] for panel in PANELS], 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)


def test_targets_ask_the_chosen_data_source_and_have_letters_of_their_own() -> None:
    for panel in PANELS:
        targets = panel.get("targets", [])
        assert bool(targets) == (panel["type"] != "row")
        assert len({target["refId"] for target in targets}) == len(targets)
        assert {target["datasource"]["uid"] for target in targets} <= {"${datasource}"}
        if targets:
            assert panel["fieldConfig"]["defaults"]["unit"]


def test_grafana_is_given_the_data_source_that_the_dashboard_asks() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    choice, job = DASHBOARD["templating"]["list"]
    assert (choice["name"], choice["query"], choice["current"]["value"]) == (
        "datasource",
        source["type"],
        source["uid"],
    )
    assert job["query"]["query"] == "label_values(reelsync_halted_partitions, job)"
    assert source["url"] == "http://prometheus:9090"


def test_compose_gives_grafana_what_is_provisioned() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    grafana = services["grafana"]
    assert grafana["profiles"] == ["grafana"]
    mounted = {target: ROOT / source for source, target, _ in (volume.split(":") for volume in grafana["volumes"])}
    assert mounted["/etc/grafana/provisioning"] == GRAFANA / "provisioning"
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/reelsync.yml").read_text())["providers"]
    assert (mounted[provider["options"]["path"]] / "reelsync.json").is_file()
    assert grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].startswith(provider["options"]["path"])
    assert "prometheus" in services
