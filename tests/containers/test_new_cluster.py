"""The first question about a group that a new cluster of Apache Kafka gets."""

from reelsync.consumer.kafka.group_members import count_members
from reelsync.testing.settings import settings_for
from tests.services.containers import ContainerBroker


async def test_a_coordinator_that_is_not_there_yet_is_waited_for() -> None:
    """Kafka refuses until it has made its topic for groups. So `check` failed before the first consumer ran."""
    with ContainerBroker() as broker:
        made = settings_for(
            bootstrap_servers=broker.bootstrap_servers,
            database_url="postgresql+asyncpg://x/y",
            topics={"video-events": "video"},
        )
        assert await count_members(made.kafka) == 0
