"""How a consumer is doing: in words, as JSON, on a page and in a terminal."""
