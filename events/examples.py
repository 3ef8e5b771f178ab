"""Examples of the data of every type, as a publisher would make them. The files of the contract contain them."""

from .contract import EVENT_DATA, EventType
from .data import EventData
from .usage import ModelUsageRecorded
from .user import (
    UserActivated,
    UserCreated,
    UserDeactivated,
    UserDeleted,
    UserErased,
    UserLoggedIn,
    UserPreferencesChanged,
    UserProfileUpdated,
    UserRestored,
    UserUpdated,
)
from .video import (
    VideoCompleted,
    VideoCreated,
    VideoDeleted,
    VideoFailed,
    VideoProcessing,
    VideoProgressed,
    VideoRestored,
    VideoUpdated,
)

_VIDEO = "01944b2d-0a00-7b01-9d11-1122334455a1"
_USER = "01944b2c-3f10-7a01-8c55-5f0a1b2c3d01"
_USAGE = "01944b2d-7e20-7c01-b0a4-66778899aa01"

_ALL: tuple[EventData, ...] = (
    UserCreated(user_id=_USER, version=1, username="amber_badger", email="amber@example.com"),
    UserCreated(
        user_id=_USER,
        version=1,
        username="amber_badger",
        email="amber@example.com",
        avatar_url="https://cdn.example.com/amber.png",
        is_active=True,
        preferences={"theme": "dark", "captions": {"language": "pt-BR", "size": 1.5}},
    ),
    UserProfileUpdated(user_id=_USER, version=2),
    UserProfileUpdated(
        user_id=_USER,
        version=2,
        full_name="Amber Badger",
        company="Example Ltd",
        locale="en-GB",
        timezone="Europe/Lisbon",
        bio="Makes short films.",
    ),
    UserUpdated(user_id=_USER, version=3, username="amber", email="amber@example.com", avatar_url=None),
    UserPreferencesChanged(user_id=_USER, version=4, preferences={"theme": "light"}),
    UserLoggedIn(user_id=_USER, version=5),
    UserDeactivated(user_id=_USER, version=6),
    UserActivated(user_id=_USER, version=7),
    UserDeleted(user_id=_USER, version=8),
    UserRestored(user_id=_USER, version=9),
    UserErased(user_id=_USER),
    VideoCreated(video_id=_VIDEO, user_id=_USER, version=1, title="A tour of the harbour"),
    VideoCreated(
        video_id=_VIDEO,
        user_id=_USER,
        version=1,
        title="A tour of the harbour",
        description="Two minutes by boat.",
        avatar_id="captain",
        voice_id="warm-2",
        language="pt-PT",
        resolution="1920x1080",
    ),
    VideoUpdated(video_id=_VIDEO, user_id=_USER, version=2, title="The harbour", language="pt-PT"),
    VideoProcessing(video_id=_VIDEO, user_id=_USER, version=3),
    VideoProgressed(video_id=_VIDEO, user_id=_USER, version=4, progress=40),
    VideoFailed(video_id=_VIDEO, user_id=_USER, version=5, error_code="render_timeout"),
    VideoFailed(
        video_id=_VIDEO,
        user_id=_USER,
        version=5,
        error_code="render_timeout",
        error_message="The renderer gave no sign of life for 60 s.",
        progress=80,
    ),
    VideoCompleted(
        video_id=_VIDEO,
        user_id=_USER,
        version=6,
        output_url="https://cdn.example.com/harbour.mp4",
        thumbnail_url="https://cdn.example.com/harbour.jpg",
        duration_seconds=93.5,
        processing_time=41.2,
        file_size=48_211_002,
    ),
    VideoDeleted(video_id=_VIDEO, user_id=_USER, version=7),
    VideoRestored(video_id=_VIDEO, user_id=_USER, version=8),
    ModelUsageRecorded(usage_id=_USAGE, video_id=_VIDEO, user_id=_USER, model_name="speech-2"),
    ModelUsageRecorded(
        usage_id=_USAGE,
        video_id=_VIDEO,
        user_id=_USER,
        model_name="speech-2",
        model_type="tts",
        input_units=1_840,
        output_units=93,
        duration_seconds=7.25,
        cost_usd="0.012500",
    ),
)

EXAMPLES: dict[EventType, tuple[EventData, ...]] = {
    name: tuple(example for example in _ALL if example.type == name) for name in EVENT_DATA
}
"""For each type, the smallest example first."""
