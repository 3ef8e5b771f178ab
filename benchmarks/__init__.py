"""Benchmarks: reelsync, the database alone, Debezium's sink, and what most teams write. See docs/performance.md."""
