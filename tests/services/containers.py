"""Servers in containers: of the plugin."""

from reelsync.testing.servers.containers import ContainerBroker, ContainerPostgres

__all__ = ["ContainerBroker", "ContainerPostgres"]
