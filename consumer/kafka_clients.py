"""How every Kafka client connects, from the settings."""

import ssl
from typing import Any

from .errors import MisconfiguredError
from .settings import KafkaSettings
from .tls import TlsFile, TlsFiles, load_certificate


def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options that aiokafka's consumer, producer and admin client share. Certificate files are read anew each time.

    Raises:
        MisconfiguredError: a certificate file cannot be used.
    """
    return {
        "bootstrap_servers": settings.bootstrap_servers,
        "client_id": "reelsync",
        "security_protocol": settings.security_protocol,
        **login_options(settings),
    }


def login_options(settings: KafkaSettings) -> dict[str, Any]:
    """Those of the options that make the connection secure.

    Raises:
        MisconfiguredError: a certificate file cannot be used.
    """
    options: dict[str, Any] = {}
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
    files = TlsFiles(
        TlsFile("REELSYNC_KAFKA__SSL_CAFILE", settings.ssl_cafile),
        TlsFile("REELSYNC_KAFKA__SSL_CERTFILE", settings.ssl_certfile),
        TlsFile("REELSYNC_KAFKA__SSL_KEYFILE", settings.ssl_keyfile),
        password.get_secret_value() if password else None,
    )
    try:
        context = ssl.create_default_context(cafile=settings.ssl_cafile)
        load_certificate(context, files)
    except (OSError, ValueError) as error:
        message = f"TLS to Kafka: {files.problem() or error}"
        raise MisconfiguredError(message) from None
    return context
