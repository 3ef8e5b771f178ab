"""The settings of the command, checked when they are read, and the passwords and tokens that they name."""

from .servers import DEFAULT_TOPICS, DatabaseSettings, KafkaSettings
from .settings import (
    BatchSettings,
    BrokerSettings,
    DeadLetterSettings,
    HttpSettings,
    LogSettings,
    OtelSettings,
    Settings,
)

__all__ = [
    "DEFAULT_TOPICS",
    "BatchSettings",
    "BrokerSettings",
    "DatabaseSettings",
    "DeadLetterSettings",
    "HttpSettings",
    "KafkaSettings",
    "LogSettings",
    "OtelSettings",
    "Settings",
]
