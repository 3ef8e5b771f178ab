"""A pytest plugin for services that publish to reelsync: servers, a running consumer, builders of events.

Every run of pytest where reelsync is installed loads `plugin`; nothing else is imported until a fixture is asked for.
"""
