"""`reelsync` with less memory: `python -m tests.support.limited_consumer BYTES ARGUMENTS`."""

import resource
import sys

from reelsync.consumer.__main__ import main

if __name__ == "__main__":
    limit = int(sys.argv.pop(1))
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    main()
