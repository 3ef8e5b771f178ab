"""The coordinator of the group, which forms it again whenever somebody comes or goes."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from aiokafka import TopicPartition

from .world import Process, World

_SESSION_SECONDS = 10.0
_REBALANCE_SECONDS = 30.0
_HEARTBEAT_SECONDS = 1.0


class Member(Protocol):
    """What the coordinator knows of a member."""

    name: str
    process: Process
    is_gone: bool

    def must_rejoin(self) -> None:
        """The group is being formed again."""


class Group:
    """The members, and what each of them is to read: a range of the partitions of every topic."""

    def __init__(self, world: World, topics: Mapping[str, Sequence[object]]) -> None:
        self.generation = 0
        self._world = world
        self._topics = topics
        self._members: dict[str, Member] = {}
        self._joining: dict[str, asyncio.Future[tuple[int, list[TopicPartition]]]] = {}
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def is_being_formed(self) -> bool:
        """Whether some member has not got its partitions yet."""
        return bool(self._joining) or self._deadline is not None

    def has(self, member: Member) -> bool:
        """Whether it is a member."""
        return member.name in self._members

    def join(self, member: Member) -> asyncio.Future[tuple[int, list[TopicPartition]]]:
        """The generation and what the member is to read, as soon as all members have joined, or were late."""
        self._members[member.name] = member
        answer = self._joining[member.name] = self._world.clock.create_future()
        self._form_again()
        return answer

    def leave(self, member: Member) -> None:
        """A member leaves, or has been silent for its session timeout."""
        if self._members.pop(member.name, None) is not None:
            answer = self._joining.pop(member.name, None)
            if answer is not None:
                answer.cancel()
            self._world.note("left the group:", member.name)
            member.must_rejoin()
            self._form_again()

    def form_again(self) -> None:
        """Form the group again, because topics have changed."""
        for member in [*self._members.values()]:
            self._tell(member, self.generation)

    def lost(self, process: Process) -> None:
        """A process is stopped, or dead, or has closed its connections: its members may be silent for too long."""
        for member in self._members.values():
            if member.process is process:
                self._world.clock.call_later(_SESSION_SECONDS, self._expire, member)

    def _expire(self, member: Member) -> None:
        process = member.process
        if member.is_gone or not process.alive or process.thaws_at > self._world.clock.now:
            self.leave(member)

    def _form_again(self) -> None:
        if not self._members:
            return
        if self._members.keys() <= self._joining.keys():
            self._complete()
            return
        if self._deadline is None:
            self._deadline = self._world.clock.call_later(_REBALANCE_SECONDS, self._complete)
        for member in self._members.values():
            if member.name not in self._joining:
                delay = self._world.rng.random() * _HEARTBEAT_SECONDS
                self._world.clock.call_later(delay, self._tell, member, self.generation)

    def _tell(self, member: Member, generation: int) -> None:
        if generation == self.generation and member.name not in self._joining:
            member.must_rejoin()

    def _complete(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        late = [member for name, member in self._members.items() if name not in self._joining]
        self._members = {name: self._members[name] for name in self._joining}
        self.generation += 1
        assigned = self._assign(sorted(self._joining)) if self._joining else {}
        self._world.note("generation", self.generation, assigned)
        for name, answer in self._joining.items():
            if not answer.done():
                answer.set_result((self.generation, assigned[name]))
        self._joining = {}
        for member in late:
            member.must_rejoin()

    def _assign(self, names: list[str]) -> dict[str, list[TopicPartition]]:
        assigned: dict[str, list[TopicPartition]] = {name: [] for name in names}
        for topic, logs in self._topics.items():
            each, more = divmod(len(logs), len(names))
            first = 0
            for place, name in enumerate(names):
                count = each + (place < more)
                assigned[name] += [TopicPartition(topic, number) for number in range(first, first + count)]
                first += count
        return assigned
