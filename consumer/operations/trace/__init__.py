"""Find what became of an event."""
