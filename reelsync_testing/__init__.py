"""A pytest plugin for services that publish to reelsync: servers, a running consumer, builders of events.

Every run of pytest where reelsync is installed loads `plugin`; everything else is imported when a fixture is used.
"""
