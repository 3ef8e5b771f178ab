"""What commands print about partitions that they could not read whole."""

from collections.abc import Iterable

from reelsync.consumer.operations.obstacles import Obstacle

from .terminal import err


def complain_of(obstacles: Iterable[Obstacle]) -> None:
    """Print a line for each."""
    for obstacle in obstacles:
        err.print(str(obstacle), style="red", markup=False, highlight=False, soft_wrap=True)
