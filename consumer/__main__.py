"""The `reelsync` command, also as `python -m reelsync.consumer`."""

import os
import sys


def main() -> None:
    """Run the command, if what it needs is installed."""
    _replace_closed_streams()
    try:
        from .cli import main as command  # noqa: PLC0415 - the extra `consumer` may not be installed

        command()
    except ModuleNotFoundError as error:
        sys.stderr.write(f"error: {error.name} is not installed: install reelsync[consumer]\n")
        sys.exit(2)


def _replace_closed_streams() -> None:
    """Open /dev/null in the place of each standard stream that was closed when this process started.

    Otherwise the next connection would get its number, and what is meant for standard error would go to a server.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # The lowest number that is free, which is that of the stream. Processes that are started inherit it.
            number = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)  # noqa: FBT003 - it has no name
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - open until the process ends


if __name__ == "__main__":
    main()
