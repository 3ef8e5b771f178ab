"""What is used of others' resources, as types that refuse everything else: no Python package has their schemas."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class _Strict(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True)


class _Target(_Strict):
    name: str


class _Fallback(_Strict):
    failure_threshold: int = Field(ge=1)
    replicas: int = Field(ge=0)
    behavior: Literal["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"] = "static"


class _Policy(_Strict):
    type: Literal["Pods", "Percent"]
    value: int = Field(ge=1)
    period_seconds: int = Field(ge=1, le=1800)


class _Rules(_Strict):
    stabilization_window_seconds: int = Field(ge=0, le=3600)
    policies: list[_Policy]


class _Behavior(_Strict):
    scale_up: _Rules
    scale_down: _Rules


class _Autoscaler(_Strict):
    behavior: _Behavior


class _Advanced(_Strict):
    horizontal_pod_autoscaler_config: _Autoscaler


class _Query(_Strict):
    server_address: str
    query: str
    threshold: str = Field(pattern=r"^\d+$")
    ignore_null_values: Literal["true", "false"]


class _Trigger(_Strict):
    type: Literal["prometheus"]
    metric_type: Literal["AverageValue"]
    """The only one that KEDA allows together with a fallback."""
    metadata: _Query


class _Scaling(_Strict):
    scale_target_ref: _Target
    polling_interval: int = Field(ge=1)
    min_replica_count: int = Field(ge=1)
    max_replica_count: int = Field(ge=1)
    fallback: _Fallback
    advanced: _Advanced
    triggers: list[_Trigger]


class _Metadata(_Strict):
    name: str
    namespace: str | None = None
    labels: dict[str, str]


class ScaledObject(_Strict):
    """The resource. Source: https://keda.sh/docs/latest/reference/scaledobject-spec/"""

    api_version: Literal["keda.sh/v1alpha1"]
    kind: Literal["ScaledObject"]
    metadata: _Metadata
    spec: _Scaling


class _Labels(_Strict):
    match_labels: dict[str, str]


class _Endpoint(_Strict):
    port: str
    path: str
    interval: str = Field(pattern=r"^\d+s$")
    scrape_timeout: str = Field(pattern=r"^\d+s$")


class _Monitoring(_Strict):
    selector: _Labels
    pod_metrics_endpoints: list[_Endpoint]


class PodMonitor(_Strict):
    """The resource. Source: https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PodMonitor"""

    api_version: Literal["monitoring.coreos.com/v1"]
    kind: Literal["PodMonitor"]
    metadata: _Metadata
    spec: _Monitoring


class _Store(_Strict):
    kind: Literal["SecretStore", "ClusterSecretStore"]
    name: str


class _Remote(_Strict):
    key: str
    property: str


class _Datum(_Strict):
    secret_key: str
    remote_ref: _Remote


class _External(_Strict):
    refresh_interval: str = Field(pattern=r"^\d+[smh]$")
    secret_store_ref: _Store
    target: _Target
    data: list[_Datum]


class ExternalSecret(_Strict):
    """The resource. Source: https://external-secrets.io/latest/api/externalsecret/"""

    api_version: Literal["external-secrets.io/v1"]
    kind: Literal["ExternalSecret"]
    metadata: _Metadata
    spec: _External


CUSTOM: dict[str, type[_Strict]] = {kind.__name__: kind for kind in (ScaledObject, PodMonitor, ExternalSecret)}
"""By their kinds."""
