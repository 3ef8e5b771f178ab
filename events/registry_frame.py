"""The frame that clients of a schema registry put around a value, and the id of the schema in it.

A frame is a magic byte and an id, at the start of the value or alone in a header. Magic byte 0 precedes a number of 4
bytes, magic byte 1 a UUID of 16 bytes. The registry itself is not asked, because JSON does not need it; Avro and
Protobuf are not read. Source: Confluent's documentation, "Formats, Serializers, and Deserializers", section "Wire
format".
"""

from typing import NamedTuple
from uuid import UUID

from .codec import Headers, InvalidEventError, Problem

_HEADER = "__value_schema_id"
_NUMBER_END, _UUID_END = 5, 17


class RegistryFrame(NamedTuple):
    """The id of a schema, as a registry shows it, and the bytes that were framed."""

    schema_id: str
    content: bytes

    def not_json(self) -> InvalidEventError:
        """The sentence about content that is not JSON."""
        message = (
            f"the value names schema id {self.schema_id} of a schema registry and is not JSON, so it is probably Avro "
            "or Protobuf: only JSON is read, so publish with the JSON Schema serializer, or without one"
        )
        return InvalidEventError("not_json", [Problem("", "registry_frame", message)])


def registry_frame(value: bytes, headers: Headers) -> RegistryFrame | None:
    """The frame of a record's value; None if it has none."""
    if (framed := _split(value)) is not None:
        return framed
    for name, content in headers:
        if name == _HEADER and content is not None and (framed := _split(content)) is not None:
            return framed._replace(content=value)
    return None


def _split(framed: bytes) -> RegistryFrame | None:
    if framed[:1] == b"\x00" and len(framed) >= _NUMBER_END:
        return RegistryFrame(str(int.from_bytes(framed[1:_NUMBER_END], "big")), framed[_NUMBER_END:])
    if framed[:1] == b"\x01" and len(framed) >= _UUID_END:
        return RegistryFrame(str(UUID(bytes=framed[1:_UUID_END])), framed[_UUID_END:])
    return None
