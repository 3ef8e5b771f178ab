"""How every Kafka client connects, from the settings."""

import ssl
from typing import Any

from aiokafka.helpers import create_ssl_context

from .errors import ReelsyncError
from .settings import KafkaSettings


def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options that aiokafka's consumer, producer and admin client share.

    Raises:
        ReelsyncError: a certificate file cannot be used.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "client_id": "reelsync",
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password.get_secret_value() if settings.sasl_password else None,
        }
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    return options


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    password = settings.ssl_keyfile_password
    try:
        context: ssl.SSLContext = create_ssl_context(
            cafile=settings.ssl_cafile,
            certfile=settings.ssl_certfile,
            keyfile=settings.ssl_keyfile,
            password=password.get_secret_value() if password else None,
        )
    except (OSError, ssl.SSLError) as error:
        message = (
            "REELSYNC_KAFKA__SSL_CAFILE, …SSL_CERTFILE or …SSL_KEYFILE cannot be used "
            f"({type(error).__name__}): each must name a readable PEM file"
        )
        raise ReelsyncError(message) from None
    return context
