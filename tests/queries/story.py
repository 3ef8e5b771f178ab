"""Events of a few users and videos, with something for each query to find and to leave out."""

from datetime import timedelta
from uuid import UUID

from tests.queries.merged import at
from tests.support.builders import START, an_id, usage, user, video

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BIG = 200 * 1024 * 1024

EVENTS = [
    user("created", 1),
    user("profile_updated", 1, 2, full_name="Ada"),
    user("created", 2),
    user("deactivated", 2, 2),
    user("created", 3),
    user("deleted", 3, 2),
    # User 4 is a placeholder: there are videos of it, and none of its own events.
    at(START, video("created", 1)),
    at(START, video("processing", 1, 2)),
    at(START + HOUR, video("completed", 1, 3, processing_time=10.0, file_size=BIG)),
    at(START + HOUR, video("created", 2)),
    at(START + HOUR, video("completed", 2, 2, processing_time=20.0, file_size=10)),
    at(START + DAY, video("created", 3)),
    at(START + DAY, video("failed", 3, 2, error_code="render_timeout")),
    at(START + DAY, video("created", 4)),
    at(START + DAY, video("processing", 4, 2)),
    # Deleted, and the newest of its user.
    at(START + 2 * DAY, video("created", 5)),
    at(START + 2 * DAY, video("completed", 5, 2, file_size=BIG)),
    at(START + 2 * DAY, video("deleted", 5, 3)),
    at(START, video("created", 6, owner=2)),
    at(START, video("failed", 6, 2, owner=2, error_code="no_voice")),
    # Its start is not there yet: only that it goes on.
    at(START + 2 * DAY, video("progressed", 7, 2, owner=2)),
    at(START, video("created", 8, owner=4)),
    # Being rendered again: what the first rendering put out does not count.
    at(START + DAY, video("created", 9, owner=2)),
    at(START + DAY, video("completed", 9, 2, owner=2, file_size=BIG)),
    at(START + 2 * DAY, video("processing", 9, 3, owner=2)),
    at(START, usage(1, 1, cost_usd="0.5", input_units=10, output_units=1)),
    at(START + DAY, usage(2, 1, model_name="render-1", cost_usd="1.25", input_units=5)),
    at(START + DAY, usage(3, 6, owner=2, cost_usd=None, input_units=7)),
    # Video 10 is a placeholder: only a fact speaks of it.
    at(START + DAY, usage(4, 10, owner=2, cost_usd="0.25")),
]


def id_of(number: int) -> UUID:
    return UUID(an_id(number))


def user_id(number: int) -> UUID:
    return id_of(1000 + number)
