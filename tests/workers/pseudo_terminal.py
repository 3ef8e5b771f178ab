"""A command in a real pseudo-terminal, and what a person would see on its screen."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pyte

from reelsync.consumer.settings import Settings
from tests.support.processes import ROOT, environment


class PseudoTerminal:
    """A screen of so many columns and lines, with all that has scrolled off it."""

    def __init__(self, columns: int, lines: int) -> None:
        self.master, self.slave = pty.openpty()
        self.bytes = b""
        self._screen = pyte.HistoryScreen(columns, lines, history=2_000, ratio=0.5)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._set_size(columns, lines)
        self._reading = threading.Thread(target=self._read)

    @contextmanager
    def running(self, settings: Settings, *command: str, **extra: str) -> Iterator[subprocess.Popen[bytes]]:
        """`reelsync` with all its streams on this terminal."""
        env = {name: value for name, value in environment(settings).items() if name not in {"COLUMNS", "LINES"}}
        child = subprocess.Popen(
            [sys.executable, "-m", "reelsync.consumer", *command],
            env=env | {"TERM": "xterm-256color"} | extra,
            cwd=ROOT,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
        )
        os.close(self.slave)
        self._reading.start()
        try:
            yield child
        finally:
            child.kill()
            child.wait()
            self._reading.join()
            os.close(self.master)

    def resize(self, child: subprocess.Popen[bytes], columns: int, lines: int) -> None:
        """As when a person pulls at the window."""
        with self._lock:
            self._screen.resize(lines, columns)
        self._set_size(columns, lines)
        child.send_signal(signal.SIGWINCH)

    @property
    def lines(self) -> list[str]:
        """What is on the screen, and what has scrolled off before it."""
        with self._lock:
            width = self._screen.columns
            above = ["".join(line[x].data for x in range(width)) for line in self._screen.history.top]
            return [line.rstrip() for line in (*above, *self._screen.display)]

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self.master, 65_536)
            except OSError:  # Linux says so when nobody has the other end any more
                return
            if not chunk:
                return
            with self._lock:
                self.bytes += chunk
                self._stream.feed(chunk)
