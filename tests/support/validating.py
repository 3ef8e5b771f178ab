"""One value, validated as a field of an event."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError


def from_json(kind: Any, literal: str | bytes) -> Any:
    return TypeAdapter(kind).validate_json(literal)


def refused(kind: Any, literal: str | bytes) -> str:
    """The code of the one problem."""
    with pytest.raises(ValidationError) as caught:
        from_json(kind, literal)
    (problem,) = caught.value.errors(include_input=False, include_context=False)
    return problem["type"]
