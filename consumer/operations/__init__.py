"""Tools for operators that work beside the consumer."""
