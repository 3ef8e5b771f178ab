"""An HTTP API over the read queries, to copy from. Run it as docs/reading.md says."""
