"""Keep the records of a topic in files, and read them again when Kafka has them no more."""
