"""What is used of KEDA's ScaledObject, as types that refuse everything else: no Python package has its schema."""

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
    labels: dict[str, str]


class ScaledObject(_Strict):
    """The resource. Source: https://keda.sh/docs/latest/reference/scaledobject-spec/"""

    api_version: Literal["keda.sh/v1alpha1"]
    kind: Literal["ScaledObject"]
    metadata: _Metadata
    spec: _Scaling
