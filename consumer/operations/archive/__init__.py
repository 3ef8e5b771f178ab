"""Keeping the records of a topic in files, and reading them again after Kafka has deleted them."""
