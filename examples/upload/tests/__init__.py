"""The service, tested with reelsync's own fixtures: what it publishes becomes rows."""
