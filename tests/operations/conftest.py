"""The role that migrates, which rebuilds too."""

import pytest
from sqlalchemy import make_url

from reelsync.consumer.settings import Settings
from tests.support.roles import TEST_SCHEMA, roles_of


@pytest.fixture
def migrating(settings: Settings, operator_url: str) -> Settings:
    """The settings of the role that migrates."""
    url = roles_of(operator_url, database=str(make_url(operator_url).database)).migrate_url
    return Settings.model_validate(
        settings.model_dump() | {"database": {"url": url, "lock_timeout": 2.0, "schema": TEST_SCHEMA}}
    )
