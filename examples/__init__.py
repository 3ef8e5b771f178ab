"""Examples of what others build on these packages."""
