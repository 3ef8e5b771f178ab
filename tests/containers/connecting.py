"""Ways to connect to the broker of tls_kafka.py: an address, and the settings that go with it."""

from collections.abc import Callable

from tests.containers.tls_kafka import USER, TlsKafka
from tests.support.certificates import KEY_PASSWORD, Certificates

Security = dict[str, str]
Way = Callable[[TlsKafka, Certificates], tuple[str, Security]]


def used(security: Security) -> Security:
    """Without what the protocol does not use: settings that would protect nothing are refused."""
    protocol = security["security_protocol"]
    return {
        name: value
        for name, value in security.items()
        if (protocol.startswith("SASL") or not name.startswith("sasl_"))
        and (protocol.endswith("SSL") or not name.startswith("ssl_"))
    }


def variables(address: str, security: Security) -> dict[str, str]:
    given = {"bootstrap_servers": address} | used(security)
    return {f"REELSYNC_KAFKA__{name.upper()}": value for name, value in given.items()}


def scram_over_tls(kafka: TlsKafka, made: Certificates) -> tuple[str, Security]:
    security = {"security_protocol": "SASL_SSL", "ssl_cafile": str(made.authority)}
    return kafka.address("both"), security | {"sasl_username": USER, "sasl_password": kafka.password}


def scram_in_the_clear(kafka: TlsKafka, made: Certificates) -> tuple[str, Security]:
    _, security = scram_over_tls(kafka, made)
    return kafka.address("sasl"), security | {"security_protocol": "SASL_PLAINTEXT"}


def tls_alone(kafka: TlsKafka, made: Certificates) -> tuple[str, Security]:
    return kafka.address("tls"), {"security_protocol": "SSL", "ssl_cafile": str(made.authority)}


def mutual_tls(kafka: TlsKafka, made: Certificates) -> tuple[str, Security]:
    _, security = tls_alone(kafka, made)
    pair = {"ssl_certfile": str(made.client.certificate), "ssl_keyfile": str(made.client_encrypted_key)}
    return kafka.address("mutual"), security | pair | {"ssl_keyfile_password": KEY_PASSWORD}
