"""Records from Kafka, read from the positions that PostgreSQL stores."""
