"""Video lifecycle events from Apache Kafka, merged idempotently into PostgreSQL."""
