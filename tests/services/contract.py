"""What tests ask of a server: of the plugin."""

from reelsync.testing.servers.contract import Broker, DatabaseServer

__all__ = ["Broker", "DatabaseServer"]
