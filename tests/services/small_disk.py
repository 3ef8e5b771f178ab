"""A small disk for containers, which can be filled and freed again."""

from typing import Self

import docker
from docker.models.containers import Container
from docker.models.volumes import Volume

from tests.services.docker import APACHE_KAFKA_IMAGE

_PLACE = "/disk"
_FILL = f"dd if=/dev/zero of={_PLACE}/filler bs=4k status=none"
_FREE_BYTES = f"df --output=avail --block-size=1 {_PLACE} | tail -n 1"


def has_ended(container: Container) -> bool:
    """Whether a server has ended for good, because it finds no room."""
    container.reload()
    return bool(container.status == "exited")


class SmallDisk:
    """A file system in memory, of so many MiB, as a volume. A container of its own keeps it while others stop."""

    def __init__(self, mebibytes: int) -> None:
        self._options = f"size={mebibytes}m,mode=1777"

    def __enter__(self) -> Self:
        self._engine = docker.from_env()
        options = {"type": "tmpfs", "device": "tmpfs", "o": self._options}
        self._volume: Volume = self._engine.volumes.create(driver="local", driver_opts=options)
        self._keeper: Container = self._engine.containers.run(
            APACHE_KAFKA_IMAGE,
            ["infinity"],
            entrypoint="sleep",
            user="root",
            detach=True,
            volumes={self.name: {"bind": _PLACE, "mode": "rw"}},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._keeper.remove(force=True, v=True)
        self._volume.remove(force=True)
        self._engine.close()

    @property
    def name(self) -> str:
        """Of the volume."""
        return str(self._volume.name)

    def fill(self) -> None:
        """Write until no byte more goes in."""
        self._run(_FILL)
        assert int(self._run(_FREE_BYTES)) == 0

    def free(self) -> None:
        """Take back what `fill` wrote."""
        self._run(f"rm {_PLACE}/filler")

    def _run(self, command: str) -> bytes:
        return bytes(self._keeper.exec_run(["sh", "-c", command]).output)
