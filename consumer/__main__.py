"""The `reelsync` command, also as `python -m reelsync.consumer`."""

import sys


def main() -> None:
    """Run the command, if what it needs is installed."""
    try:
        from .cli import main as command  # noqa: PLC0415 - the extra `consumer` may not be installed

        command()
    except ModuleNotFoundError as error:
        sys.stderr.write(f"error: {error.name} is not installed: pip install 'reelsync[consumer]'\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
