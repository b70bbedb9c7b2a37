"""Who waits for which socket: each is looked at once when it was asked for, from any thread."""

import os
import select
import selectors
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol


class Watch(Protocol):
    """What waits for many sockets at once."""

    def keep(self, fd: int) -> None:
        """Tell of it whenever there is something to read, until it is forgotten."""

    def once(self, fd: int, *, writes: bool, is_new: bool) -> None:
        """Tell once that it can be read from, or written to, or is broken."""

    def forget(self, fd: int) -> None:
        """Before it is closed."""

    def wait(self, seconds: float) -> list[int]:
        """The sockets that there is something to do with."""


class Epoll:
    """Linux: the system keeps the list, and threads change it while another one waits."""

    def __init__(self) -> None:
        self._epoll = select.epoll()

    def keep(self, fd: int) -> None:
        self._epoll.register(fd, select.EPOLLIN)

    def once(self, fd: int, *, writes: bool, is_new: bool) -> None:
        events = select.EPOLLONESHOT | (select.EPOLLOUT if writes else select.EPOLLIN)
        (self._epoll.register if is_new else self._epoll.modify)(fd, events)

    def forget(self, fd: int) -> None:
        with suppress(OSError, ValueError):
            self._epoll.unregister(fd)

    def wait(self, seconds: float) -> list[int]:
        return [fd for fd, _ in self._epoll.poll(seconds)]


class Selector:
    """Elsewhere (kqueue, poll): who waits is woken to hear what others want to be told."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wanted: SimpleQueue[tuple[int, int]] = SimpleQueue()
        self._bell, self._rope = os.pipe()
        for end in (self._bell, self._rope):
            os.set_blocking(end, False)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._kept: set[int] = set()

    def keep(self, fd: int) -> None:
        self._kept.add(fd)
        self._want(fd, selectors.EVENT_READ)

    def once(self, fd: int, *, writes: bool, is_new: bool) -> None:
        self._want(fd, selectors.EVENT_WRITE if writes else selectors.EVENT_READ)

    def forget(self, fd: int) -> None:
        self._kept.discard(fd)
        self._want(fd, 0)

    def _want(self, fd: int, events: int) -> None:
        self._wanted.put((fd, events))
        with suppress(BlockingIOError):
            os.write(self._rope, b"!")

    def wait(self, seconds: float) -> list[int]:
        self._hear()
        ready = [key.fd for key, _ in self._selector.select(seconds)]
        if self._bell in ready:
            os.read(self._bell, 4_096)
            ready.remove(self._bell)
        for fd in ready:
            if fd not in self._kept:
                self._selector.unregister(fd)
        return ready

    def _hear(self) -> None:
        with suppress(Empty):
            while True:
                fd, events = self._wanted.get_nowait()
                with suppress(KeyError, ValueError, OSError):
                    self._selector.unregister(fd)
                if events:
                    with suppress(KeyError, ValueError, OSError):  # closed meanwhile
                        self._selector.register(fd, events)


def watch() -> Watch:
    """The best there is here."""
    return Epoll() if hasattr(select, "epoll") else Selector()
