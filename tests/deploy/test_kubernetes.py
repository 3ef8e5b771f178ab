"""The manifests: against Kubernetes' own schemas, and against what the consumer needs of them."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from pydantic import ValidationError

from docs.settings_table import settings_table
from reelsync.consumer.app import Consumer
from reelsync.consumer.loop import BatchLoop
from reelsync.consumer.settings import Settings
from reelsync.consumer.status.summary import package_version
from tests.deploy.custom_resources import CUSTOM, ScaledObject
from tests.deploy.expressions import unknown_names
from tests.deploy.prometheus import ROOT, promtool

KUBERNETES = ROOT / "deploy" / "kubernetes"
VERSIONS = ["1.30", "1.37"]
"""The oldest and the newest that the manifests are meant for."""
OVERLAYS = sorted(path.name for path in (KUBERNETES / "overlays").iterdir())
MANIFESTS = [
    document
    for path in sorted(KUBERNETES.rglob("*.yml"))
    if path.name != "kustomization.yml"
    for document in yaml.safe_load_all(path.read_text())
]
BUILT_IN = [document for document in MANIFESTS if document["kind"] not in CUSTOM]


def one(kind: str, name: str = "reelsync") -> dict[str, Any]:
    (found,) = [document for document in MANIFESTS if (document["kind"], document["metadata"]["name"]) == (kind, name)]
    return found


DEPLOYMENT = one("Deployment")
JOB = one("Job", f"reelsync-migrate-{package_version().replace('.', '-')}")
PODS = {"consumer": DEPLOYMENT["spec"]["template"], "migration": JOB["spec"]["template"]}


def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["spec"]["containers"]
    return dict(only)


def name_of(manifest: dict[str, Any]) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", BUILT_IN, ids=name_of)
def test_valid_and_without_a_field_that_does_not_exist(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_field_that_does_not_exist_would_be_seen() -> None:
    wrong = yaml.safe_load(yaml.safe_dump(DEPLOYMENT))
    container(wrong["spec"]["template"])["livenessProbe"]["periodSecond"] = 3
    with pytest.raises(kubernetes_validate.ValidationError, match="periodSecond"):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_the_scaled_object_has_the_form_of_keda() -> None:
    scaled = one("ScaledObject")
    ScaledObject.model_validate(scaled)
    with pytest.raises(ValidationError, match="maxReplicas"):
        ScaledObject.model_validate(scaled | {"spec": scaled["spec"] | {"maxReplicas": 3}})


def test_it_scales_the_deployment_by_a_lag_that_is_measured(tmp_path: Path) -> None:
    spec = one("ScaledObject")["spec"]
    assert spec["scaleTargetRef"] == {"name": DEPLOYMENT["metadata"]["name"]}
    assert "replicas" not in DEPLOYMENT["spec"]
    query = spec["triggers"][0]["metadata"]["query"]
    database = {"url": "postgresql+asyncpg://nobody@localhost/nothing"}
    registry = Consumer(Settings.model_validate({"database": database})).metrics.registry
    assert list(unknown_names(query, registry)) == []
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "keda", "rules": [{"record": "a:b", "expr": query}]}]}))
    promtool("check", "rules", path)


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_pods_can_write_nowhere_and_have_no_rights(pod: dict[str, Any]) -> None:
    """As the image is run by compose, where tests/containers shows that it works."""
    spec, only = pod["spec"], container(pod)
    user = next(line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("USER "))
    assert user == f"USER {spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}"
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "volumes" not in spec
    assert {"cpu", "memory"} == only["resources"]["requests"].keys()
    assert "memory" in only["resources"]["limits"]


def test_both_run_the_image_of_this_version() -> None:
    assert {container(pod)["image"] for pod in PODS.values()} == {f"reelsync:{package_version()}"}
    labels = [manifest["metadata"]["labels"] for manifest in (DEPLOYMENT, JOB)] + [
        pod["metadata"]["labels"] for pod in PODS.values()
    ]
    assert {label["app.kubernetes.io/version"] for label in labels} == {package_version()}


def test_probes_ask_what_is_meant_for_them() -> None:
    consumer = container(PODS["consumer"])
    assert (
        consumer["startupProbe"]["httpGet"]
        == consumer["livenessProbe"]["httpGet"]
        == {"path": "/livez", "port": "http"}
    )
    assert consumer["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert consumer["ports"] == [{"name": "http", "containerPort": 8080}]
    assert "REELSYNC_HTTP__PORT=8080" in (ROOT / "Dockerfile").read_text()
    annotations = PODS["consumer"]["metadata"]["annotations"]
    assert (annotations["prometheus.io/port"], annotations["prometheus.io/path"]) == ("8080", "/metrics")


def test_a_consumer_is_given_the_time_to_finish_its_batch() -> None:
    assert PODS["consumer"]["spec"]["terminationGracePeriodSeconds"] >= 2 * BatchLoop.drain_seconds


def test_every_variable_is_a_setting_and_no_secret_is_written_down() -> None:
    variables = dict(one("ConfigMap")["data"])
    for pod in PODS.values():
        for variable in container(pod)["env"]:
            assert "secretKeyRef" in variable["valueFrom"]
            variables[variable["name"]] = "postgresql+asyncpg://somebody@postgres/reelsync"
    assert set(variables) <= {row.split("`")[1] for row in settings_table().splitlines()[2:]}
    assert not [name for name in one("ConfigMap")["data"] if "PASSWORD" in name or "URL" in name]
    assert "Secret" not in {manifest["kind"] for manifest in MANIFESTS}


def test_selectors_find_the_consumers_and_nothing_else() -> None:
    selected = DEPLOYMENT["spec"]["selector"]["matchLabels"]
    consumers, migration = (PODS[name]["metadata"]["labels"] for name in ("consumer", "migration"))
    for selector in (
        one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one("NetworkPolicy", "reelsync-consumer")["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector == selected
        assert selector.items() <= consumers.items()
        assert not selector.items() <= migration.items()
    policy = one("NetworkPolicy", "reelsync-migration")["spec"]["podSelector"]["matchLabels"]
    assert policy.items() <= migration.items()
    assert not policy.items() <= consumers.items()


def kustomize() -> list[str]:
    """The command that builds an overlay. Skips the test without it."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    pytest.skip("no kubectl and no kustomize")


@pytest.fixture(scope="module", params=OVERLAYS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What an overlay comes to, with something in the files that git ignores."""
    copy = shutil.copytree(KUBERNETES, tmp_path_factory.mktemp("overlay") / "kubernetes")
    overlay = copy / "overlays" / request.param
    asked = yaml.safe_load((overlay / "kustomization.yml").read_text())
    for generator in (*asked.get("secretGenerator", ()), *asked.get("configMapGenerator", ())):
        for file in (overlay / name.rpartition("=")[2] for name in generator["files"]):
            file.parent.mkdir(exist_ok=True)
            file.write_text("something")
    done = subprocess.run([*kustomize(), overlay], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of(built: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    return [manifest for manifest in built if manifest["kind"] in kinds]


def test_an_overlay_is_valid_and_in_one_namespace(built: list[dict[str, Any]]) -> None:
    assert {manifest["metadata"]["namespace"] for manifest in built} == {"reelsync"}
    for manifest in built:
        if manifest["kind"] in CUSTOM:
            CUSTOM[manifest["kind"]].model_validate(manifest)
            continue
        for version in VERSIONS:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_an_overlay_has_every_secret_and_every_file_that_its_pods_name(built: list[dict[str, Any]]) -> None:
    keys = {manifest["metadata"]["name"]: set(manifest["data"]) for manifest in of(built, "Secret", "ConfigMap")}
    for manifest in of(built, "ExternalSecret"):
        keys[manifest["spec"]["target"]["name"]] = {datum["secretKey"] for datum in manifest["spec"]["data"]}
    pods = of(built, "Deployment", "Job")
    assert len(pods) == 2
    for pod in (manifest["spec"]["template"]["spec"] for manifest in pods):
        (only,) = pod["containers"]
        assert only["image"] == f"registry.example/reelsync:{package_version()}"
        for variable in only["env"]:
            asked = variable["valueFrom"]["secretKeyRef"]
            assert asked["key"] in keys[asked["name"]]
        mounted = {mount["name"]: mount["mountPath"] for mount in only.get("volumeMounts", ())}
        files = {
            f"{mounted[volume['name']]}/{key}"
            for volume in pod.get("volumes", ())
            for key in keys[volume["configMap"]["name"]]
        }
        assert set(filter(None, [keys_of(built).get("REELSYNC_KAFKA__SSL_CAFILE")])) == files


def keys_of(built: list[dict[str, Any]]) -> dict[str, str]:
    """The settings of an overlay."""
    (found,) = [manifest["data"] for manifest in of(built, "ConfigMap") if manifest["metadata"]["name"] == "reelsync"]
    assert set(found) <= {row.split("`")[1] for row in settings_table().splitlines()[2:]}
    return dict(found)


def test_an_overlay_lets_consumers_reach_the_brokers_and_prometheus_find_each_consumer_once(
    built: list[dict[str, Any]],
) -> None:
    (policy,) = [one for one in of(built, "NetworkPolicy") if one["metadata"]["name"] == "reelsync-consumer"]
    let_out = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert int(keys_of(built)["REELSYNC_KAFKA__BOOTSTRAP_SERVERS"].rpartition(":")[2]) in let_out
    (deployment,) = of(built, "Deployment")
    pods = deployment["spec"]["template"]["metadata"]
    monitors = of(built, "PodMonitor")
    assert len(monitors) + ("annotations" in pods) == 1
    for monitor in monitors:
        assert monitor["spec"]["selector"]["matchLabels"].items() <= pods["labels"].items()
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["port"] in {port["name"] for port in container(deployment["spec"]["template"])["ports"]}
    assert len(of(built, "ScaledObject")) + ("replicas" in deployment["spec"]) == 1
