"""reelsync's own column types."""

from typing import Any

from sqlalchemy import JSON, Dialect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.types import TypeDecorator, TypeEngine


class JSONType(TypeDecorator[dict[str, Any]]):
    """A JSON object: `jsonb` on PostgreSQL, the generic JSON type elsewhere.

    Top-level changes made in place are seen by the unit of work; a change further down needs an assignment.
    """

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The type to use on `dialect`."""
        return dialect.type_descriptor(JSONB() if dialect.name == "postgresql" else JSON())


MutableDict.associate_with(JSONType)
