"""Whether a consumer is alive, and whether it is ready."""
