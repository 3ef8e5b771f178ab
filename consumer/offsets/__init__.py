"""The positions of a consumer group in PostgreSQL, and the check that they still fit the log."""
