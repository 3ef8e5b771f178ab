"""What a model was used for: a fact, recorded once, never changed."""

from typing import Annotated, ClassVar, Literal

from .data import EventData
from .fields import Amount, Count, Id, Money, Text


class ModelUsageRecorded(EventData):
    """A model did some work for a video. If several events have one `usage_id`, the first one stays."""

    aggregate: ClassVar = "model_usage"
    type: ClassVar[Literal["model_usage.recorded"]] = "model_usage.recorded"

    usage_id: Id
    video_id: Id
    user_id: Id
    model_name: Annotated[str, Text(100)]
    model_type: Annotated[str, Text(100)] | None = None
    """What the model does, such as `tts` or `lip_sync`."""
    input_units: Count | None = None
    """In the model's own unit: characters, tokens, frames."""
    output_units: Count | None = None
    duration_seconds: Amount | None = None
    """Time the model worked, seconds."""
    cost_usd: Money | None = None
