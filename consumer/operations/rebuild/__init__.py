"""Replay the topics into shadow tables, and replace the rows that differ."""
