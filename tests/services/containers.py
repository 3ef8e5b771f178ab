"""Servers in containers: of the plugin."""

from reelsync_testing.servers.containers import ContainerBroker, ContainerPostgres

__all__ = ["ContainerBroker", "ContainerPostgres"]
