"""Settings of a consumer in a test, which come from the test alone."""

import secrets
from collections.abc import Mapping

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from reelsync.consumer.settings import Settings

_SHORT_MS = 1_000


class IsolatedSettings(Settings):
    """Settings that read neither the environment nor `.env`, because these may name the servers of production."""

    @classmethod
    def settings_customise_sources(  # noqa: D102 - Pydantic's hook
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - likewise
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - left out, as the next two
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def settings_for(*, bootstrap_servers: str, database_url: str, topics: Mapping[str, str]) -> Settings:
    """Settings of a consumer in a new group, which joins and reacts quickly; `topics` are topic → aggregate."""
    kafka = {
        "bootstrap_servers": bootstrap_servers,
        "group_id": f"group-{secrets.token_hex(4)}",
        "topics": dict(topics),
        "session_timeout_ms": _SHORT_MS,
        "anchor_timeout_ms": _SHORT_MS,
    }
    return IsolatedSettings.model_validate({"kafka": kafka, "database": {"url": database_url, "lock_timeout": 2.0}})
