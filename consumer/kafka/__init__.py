"""Clients of Kafka, questions about a log, and what Kafka's errors mean."""
