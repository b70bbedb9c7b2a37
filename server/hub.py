"""Where connections wait: one thread looks at all of them, and at the clock for them."""

import errno
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from server.connection import Connection, State
from server.limits import Limits, Room
from server.watch import Watch, watch

SWEEP_SECONDS = 1.0  # between two looks at the clock for everybody
SPARED_SECONDS = 1  # nobody is sent away who has just come
FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
UNSENT_BYTES = 1 << 17  # that the system holds for one reader, beside what is on its way


class Hub:
    """The connections of a worker. `work` puts one of them into a thread, which calls `answered`
    of it; `is_member` says whether a value of `Authorization` is of somebody we know."""

    def __init__(
        self,
        cfg: Any,
        limits: Limits,
        work: Callable[[Connection], None],
        is_member: Callable[[Any], bool],
    ) -> None:
        self.cfg, self.limits, self.is_member = cfg, limits, is_member
        self._work = work
        self.room = Room()
        self.watch: Watch = watch()
        self._listeners: dict[int, socket.socket] = {}
        self._bell: Callable[[], None] = lambda: None
        self._bell_fd = -1
        self._is_open = self._is_full = False
        self._opening = threading.Lock()
        self._connections: dict[int, Connection] = {}
        # Those that no thread works for, the one first whose wait began first.
        self._strangers: OrderedDict[Connection, None] = OrderedDict()
        self._members: OrderedDict[Connection, None] = OrderedDict()
        self._swept = time.monotonic()

    def __len__(self) -> int:
        return len(self._connections)

    def listen(self, sockets: list[Any], bell: int, rung: Callable[[], None]) -> None:
        """Take connections from these; call `rung` when something can be read from `bell`."""
        for listener in sockets:
            listener.setblocking(False)
            with suppress(OSError, AttributeError):  # not TCP; no Linux, no macOS
                lowat = socket.TCP_NOTSENT_LOWAT
                listener.setsockopt(socket.IPPROTO_TCP, lowat, UNSENT_BYTES)
            self._listeners[listener.fileno()] = listener
        self._bell, self._bell_fd = rung, bell
        self.watch.keep(bell)
        self.open(True)

    def open(self, is_open: bool) -> None:
        """Whether new connections are taken."""
        with self._opening:
            self._open(is_open)

    def _open(self, is_open: bool) -> None:
        self._is_full = False
        if is_open != self._is_open:
            self._is_open = is_open
            for fd in self._listeners:
                (self.watch.keep if is_open else self.watch.forget)(fd)

    def turn(self, seconds: float, *, takes_more: bool) -> None:
        """Do what there is to do; wait so long for it at most."""
        for fd in self.watch.wait(seconds):
            if fd == self._bell_fd:
                self._bell()
            elif fd in self._listeners:
                self._accept(self._listeners[fd])
            else:
                connection = self._connections.get(fd)
                if connection and connection.state is not State.WORKING:
                    connection.go_on()
        now = time.monotonic()
        if now - self._swept >= min(SWEEP_SECONDS, self.limits.silence / 4):
            self._swept = now
            self._sweep(now)
            self.open(takes_more)

    def _accept(self, listener: socket.socket) -> None:
        if len(self) >= self.limits.connections and not self._make_room():
            with self._opening:
                if len(self) >= self.limits.connections:  # nobody has gone meanwhile
                    self._open(False)
                    self._is_full = True
            return
        try:
            sock, peer = listener.accept()
        except OSError as error:
            if error.errno in FULL and not self._make_room():
                self.open(False)  # until the next sweep
            return
        connection = Connection(self, sock, peer, listener.getsockname())
        self._connections[connection.fd] = connection
        self.waits(connection)
        connection.go_on()

    def _make_room(self) -> bool:
        """End who has waited longest: strangers first, nobody who is worked for."""
        for waiting in (self._strangers, self._members):
            with suppress(KeyError):
                connection, _ = waiting.popitem(last=False)
                if time.monotonic() - connection.since > SPARED_SECONDS:
                    connection.drop()
                    return True
                waiting[connection] = None
        return False

    def _sweep(self, now: float) -> None:
        for connection in list(self._connections.values()):
            if connection.state is not State.WORKING and connection.is_lost(now):
                connection.drop()

    def close_idle(self, since: float) -> None:
        """End those between two requests, for longer than since then."""
        for connection in list(self._connections.values()):
            if connection.is_idle() and connection.since <= since:
                connection.drop()

    def close(self) -> None:
        """End all of them."""
        for connection in list(self._connections.values()):
            connection.drop()

    def waits(self, connection: Connection) -> None:
        """No thread works for it now."""
        (self._members if connection.is_member else self._strangers)[connection] = None

    def work(self, connection: Connection) -> None:
        """It has a request that is whole."""
        self._strangers.pop(connection, None)
        self._members.pop(connection, None)
        self._work(connection)

    def forget(self, connection: Connection) -> None:
        """It is about to be closed; who waited for its place need not wait for the next sweep."""
        self._connections.pop(connection.fd, None)
        with self._opening:
            if self._is_full:
                self._open(True)
        self._strangers.pop(connection, None)
        self._members.pop(connection, None)
        self.watch.forget(connection.fd)
