"""Benchmarks: reelsync beside the database alone and beside what most teams write. See docs/performance.md."""
