"""`python -m consumer` is `reelsync`."""

from .cli import main

main()
