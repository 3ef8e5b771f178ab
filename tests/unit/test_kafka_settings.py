"""Settings of Kafka: addresses of brokers, secure connections and logins, and topics."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from reelsync.consumer.settings import BrokerSettings, KafkaSettings, Settings
from reelsync.events.debezium import RowChangeTopic

pytestmark = pytest.mark.usefixtures("bare_environment")


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        ("kafka://u:canary-7c1e@h:9092", "address 1 has a scheme"),
        ("a:9092,u:canary-7c1e@h:9092", "address 2 has an @"),
        ("h:abc", "not a number from 1 to 65,535"),
        ("h:99999", "not a number from 1 to 65,535"),
        ("h:", "not a number from 1 to 65,535"),
        ("a:9092,", "address 2 is not of the form host:port"),
        ("h 1:9092", "is not of the form host:port"),
        ("", "is not of the form host:port"),
    ],
)
def test_brokers_that_are_no_addresses_are_refused_and_not_quoted(servers: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said) as refused:
        KafkaSettings(bootstrap_servers=servers)
    assert "canary-7c1e" not in str(refused.value)


@pytest.mark.parametrize(
    ("servers", "read_as"),
    [(" a:1, b ", "a:1,b:9092"), ("[::1]:9093", "[::1]:9093"), ("my_kafka:9092", "my_kafka:9092")],
)
def test_brokers_are_addresses(servers: str, read_as: str) -> None:
    assert KafkaSettings(bootstrap_servers=servers).bootstrap_servers == read_as


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_a_login_needs_a_user_and_a_password(monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    monkeypatch.setenv("REELSYNC_KAFKA__SECURITY_PROTOCOL", protocol)
    monkeypatch.setenv("REELSYNC_KAFKA__SASL_USERNAME", "u")
    with pytest.raises(ValidationError, match=f"{protocol} needs REELSYNC_KAFKA__SASL_USERNAME and …SASL_PASSWORD"):
        Settings()
    monkeypatch.setenv("REELSYNC_KAFKA__SASL_PASSWORD", "p")
    assert Settings().kafka.security_protocol == protocol


TOKENS = {
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "OAUTHBEARER",
    "sasl_oauth_token_endpoint_url": "https://login.example.com/token",
    "sasl_oauth_client_id": "c",
    "sasl_oauth_client_secret": "canary",
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sasl_oauth_token_endpoint_url": None}, "OAUTHBEARER needs one of"),
        ({"sasl_password_provider": "m:f"}, "OAUTHBEARER needs one of"),
        ({"sasl_password": "canary"}, "OAUTHBEARER needs one of"),
        ({"sasl_oauth_extensions": "logicalCluster"}, "sasl_oauth_extensions"),
        ({"sasl_oauth_client_id": None}, "needs …SASL_OAUTH_CLIENT_ID"),
        ({"sasl_oauth_client_secret_file": "f"}, "one of …SASL_OAUTH_CLIENT_SECRET and"),
        ({"sasl_oauth_token_endpoint_url": "login.example.com"}, "must have the form https://host/path"),
        ({"sasl_oauth_token_endpoint_url": "https://u:canary@h/token"}, "must have the form https://host/path"),
        (
            {"sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": "p"},
            "SASL_MECHANISM is PLAIN, which does not use it: make the mechanism OAUTHBEARER",
        ),
    ],
)
def test_a_token_has_one_source_that_is_whole(change: dict[str, str | None], said: str) -> None:
    extensions = {"sasl_oauth_extensions": "logicalCluster=lkc-1,identityPoolId=pool-2"}
    assert KafkaSettings.model_validate(TOKENS | extensions).sasl_oauth_client_id == "c"
    with pytest.raises(ValidationError, match=said) as refused:
        KafkaSettings.model_validate(TOKENS | change)
    assert "canary" not in str(refused.value)


def test_a_key_needs_its_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELSYNC_KAFKA__SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("REELSYNC_KAFKA__SSL_KEYFILE", "/k.pem")
    with pytest.raises(ValidationError, match="set …SSL_CERTFILE too"):
        Settings()
    monkeypatch.setenv("REELSYNC_KAFKA__SSL_CERTFILE", "/c.pem")
    assert Settings().kafka.ssl_keyfile == "/k.pem"


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        ("orders", ("t", "native")),
        (7, ("t",)),
        ({"aggregate": "user"}, ("t",)),
        ({"format": "avro", "aggregate": "user"}, ("t",)),
        ({"format": "debezium", "aggregate": "user"}, ("t", "debezium", "version")),
        ({"format": "debezium", "aggregate": "model_usage", "version": "v"}, ("t", "debezium", "aggregate")),
        ({"format": "debezium", "aggregate": "user", "version": ""}, ("t", "debezium", "version")),
        ({"format": "debezium", "aggregate": "user", "version": "source.txId"}, ("t", "debezium", "version")),
        ({"format": "debezium", "aggregate": "user", "version": "v", "deletes": "x"}, ("t", "debezium", "deletes")),
        (
            {"format": "debezium", "aggregate": "user", "version": "v", "columns": {"titel": "x"}},
            ("t", "debezium", "columns", "titel", "[key]"),
        ),
        ({"format": "outbox", "aggregate": "user", "version": "v"}, ("t", "outbox", "version")),
    ],
)
def test_a_topic_that_is_told_wrongly_is_refused_and_the_place_named(entry: Any, where: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        KafkaSettings.model_validate({"topics": {"t": entry}})
    assert [problem["loc"] for problem in caught.value.errors()] == [("topics", *where)]


def test_topics_of_all_kinds_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"a": "user", "b": {"format": "debezium", "aggregate": "video", "version": "source.lsn"}}
    monkeypatch.setenv("REELSYNC_KAFKA__TOPICS", json.dumps(told))
    topics = BrokerSettings().kafka.topics
    assert topics == {"a": "user", "b": RowChangeTopic(aggregate="video", version="source.lsn")}
    assert KafkaSettings.model_validate({"topics": topics}).topics == topics
    assert KafkaSettings.model_validate(BrokerSettings().kafka.model_dump()).topics == topics
