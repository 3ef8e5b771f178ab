"""The base of all event data."""

from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict

Aggregate = Literal["user", "video", "model_usage"]


class EventData(BaseModel):
    """The `data` of an event: open for readers and closed for writers.

    Validating JSON or a dict ignores unknown fields, because a newer publisher may have added them; calling the class
    with one is a TypeError. `schema_version` is the current version of the type's data; older ones are upcast
    (`reelsync.events.upcasting`).
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

    def __new__(cls, **data: Any) -> Self:
        """Check that each argument is a field. Validation passes no arguments, so it ignores unknown fields."""
        if unknown := data.keys() - cls.model_fields.keys():
            fields = ", ".join(cls.model_fields)
            raise TypeError(f"{cls.__name__} has no field {', '.join(sorted(unknown))}; it has {fields}")
        return super().__new__(cls)
