"""An upstream service, to copy from: it owns videos, and publishes what happens to them through an outbox.

`tables` is its schema, `uploads` what it does, `relay` what carries the outbox to Kafka. `tests` shows how such a
service is tested against a real reelsync. docs/publishing.md explains it.
"""
