"""The migrated database that those of the tests are copies of."""

import asyncio
from typing import TypeVar

from sqlalchemy import make_url

from reelsync.migrations.runner import upgrade
from reelsync.testing.servers import DatabaseServer
from tests.support.roles import READ_ROLE, TEST_SCHEMA, create_roles, psql

TEMPLATE = "migrated"

Server = TypeVar("Server", bound=DatabaseServer)


def with_template(server: Server) -> Server:
    """The server, with a migrated database to make others from, and rights in it for each role."""
    server.create_database(TEMPLATE)
    asyncio.run(upgrade(create_roles(server.url(), database=TEMPLATE).migrate_url, schema=TEST_SCHEMA))
    create_roles(server.url(), database=TEMPLATE)
    if TEST_SCHEMA:
        # The tests' own statements name no schema, and readers may get it with their role. The role of the consumer has
        # the search_path of any other, because a setting names its schema.
        for role in ("CURRENT_USER", READ_ROLE):
            psql(make_url(server.url()), "--command", f"ALTER ROLE {role} SET search_path = {TEST_SCHEMA}, public")
    return server
