"""The base of all event data."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

Aggregate = Literal["user", "video", "model_usage"]


class EventData(BaseModel):
    """The `data` of an event: closed types, open to fields that a newer producer may add.

    `schema_version` is the current version of the type's data; older ones are upcast (`events.upcasting`).
    """

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    aggregate: ClassVar[Aggregate]
    type: ClassVar[str]
    schema_version: ClassVar[int] = 1
