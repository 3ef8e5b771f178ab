"""The one place where data of an older schema version becomes data of the current one.

To change a type's data incompatibly: raise its `schema_version` and add the step from the version before. Steps get
the decoded `data` of the older version and return that of the next; validation follows the last one.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from .contract import EVENT_DATA, EventType

Upcast = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTS: Mapping[EventType, tuple[Upcast, ...]] = {}
"""For each type, the steps from version 1 to 2, from 2 to 3, and so on to its `schema_version`."""

_URN = re.compile(r"urn:reelsync:([a-z_]+\.[a-z_]+):([1-9][0-9]{0,8})", re.ASCII)


class UnknownSchemaError(ValueError):
    """The dataschema names no known version of this type."""


class UpcastError(ValueError):
    """A step could not make the next version's data from the data that it got."""


def schema_version(dataschema: object, event_type: EventType) -> int:
    """The version that `dataschema` names; 1 when there is none.

    Raises:
        UnknownSchemaError: it is of another form, names another type, or a version newer than the current one.
    """
    if dataschema is None:
        return 1
    match = _URN.fullmatch(dataschema) if isinstance(dataschema, str) else None
    if match is None or match[1] != event_type or int(match[2]) > EVENT_DATA[event_type].schema_version:
        current = EVENT_DATA[event_type].schema_version
        message = f"dataschema must name {event_type}, version 1 to {current}, as urn:reelsync:{event_type}:{current}"
        raise UnknownSchemaError(message)
    return int(match[2])


def upcast(
    data: dict[str, Any],
    event_type: EventType,
    version: int,
    upcasts: Mapping[EventType, tuple[Upcast, ...]] = UPCASTS,
) -> dict[str, Any]:
    """`data` of schema version `version`, made into data of the current version.

    Steps get data that nothing has validated, so any error in them is treated as a fault of the data.

    Raises:
        UpcastError: a step raised, or returned something that is not a JSON object. It names the step, never the data.
    """
    for number, step in enumerate(upcasts.get(event_type, ())[version - 1 :], start=version):
        try:
            data = step(data)
            json.dumps(data)
        except Exception as error:  # noqa: BLE001 - one record must not stop a batch
            message = f"could not be brought from schema version {number} to {number + 1}: {type(error).__name__}"
            raise UpcastError(message) from None
        if not isinstance(data, dict):
            raise UpcastError(f"could not be brought from schema version {number} to {number + 1}: not an object")
    return data
