"""Three brokers for each file, and a campaign that publishes to them without doubling."""

from collections.abc import Iterator

import pytest

from tests.faults.campaign import Campaign
from tests.services.kafka_cluster import KafkaCluster


@pytest.fixture(scope="module")
def reelsync_broker() -> Iterator[KafkaCluster]:
    with KafkaCluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def broker(reelsync_broker: KafkaCluster) -> KafkaCluster:
    return reelsync_broker


@pytest.fixture
def campaign(campaign: Campaign) -> Campaign:
    """A campaign whose producer sends again without doubling."""
    campaign.producer_options = {"enable_idempotence": True}
    return campaign
