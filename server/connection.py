"""One connection: it waits for its client at the hub, is in a thread while a request is worked at,
and only then."""

import fcntl
import socket
import struct
import termios
import time
from contextlib import suppress
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from server.answer import Outbox
from server.incoming.arrival import Arrival, NoRoom
from server.limits import Pace

if TYPE_CHECKING:
    from server.hub import Hub

READ_BYTES = 1 << 18  # at once
SENT_BYTES = 1 << 20  # by the hub to one reader, before it is the next one's turn
LINGER_SECONDS, LINGER_BYTES = 2, 1 << 16  # for the end of a closed connection (RFC 9112 §9.6)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class State(Enum):
    """What it waits for."""

    READING = auto()
    WORKING = auto()
    SENDING = auto()
    DISCARDING = auto()  # the rest of what was refused
    LEAVING = auto()


class Connection:
    """It belongs to the hub's thread, while WORKING to the thread that works; nobody else touches
    it. `since`: when what it waits for began; `surplus`: bytes that are to be thrown away."""

    __slots__ = (
        "_hub", "_is_new", "_is_over", "_pace", "address", "arrival", "fd", "inbox", "is_member",
        "number", "outbox", "peer", "since", "sock", "state", "surplus", "was_refused",
    )  # fmt: skip

    def __init__(self, hub: "Hub", sock: socket.socket, peer: Any, address: Any) -> None:
        sock.setblocking(False)
        self._hub, self.sock, self.fd = hub, sock, sock.fileno()
        self.peer, self.address = peer, address
        self.inbox, self.outbox = bytearray(), Outbox(sock)
        self.arrival: Arrival | None = None
        self._pace = Pace(hub.limits.silence)
        self.since, self.number, self.surplus = self._pace.started, 0, 0
        self.state = State.READING
        self.is_member = self.was_refused = self._is_over = False
        self._is_new = True

    def go_on(self) -> None:
        """The socket is ready for what it is asked."""
        try:
            if self.state is State.READING:
                self._read()
            elif self.state is State.SENDING:
                self._send()
            elif self.state is not State.WORKING:
                self._discard()
        except BlockingIOError:
            self._wait()
        except OSError:
            self.drop()

    def _wait(self, *, writes: bool = False) -> None:
        is_new, self._is_new = self._is_new, False
        self._hub.watch.once(self.fd, writes=writes, is_new=is_new)

    def _read(self) -> None:
        data = self.sock.recv(READ_BYTES)
        if data:
            self.inbox += data
            self._advance()
        elif self.arrival and self.arrival.request:
            self.arrival.cut()
            self._work()
        else:
            self.drop()

    def _advance(self) -> None:
        """Make of what has arrived as much of a request as there is."""
        hub = self._hub
        if self.arrival is None:
            self.arrival = Arrival(hub.cfg, hub.limits, hub.room, self.peer)
            self.since = time.monotonic()
        arrival = self.arrival
        if arrival.request is None:
            if not arrival.take_head(self.inbox, self.number + 1):
                self._wait()
                return
            self._meet()
        try:
            arrival.take_body(self.inbox)
        except (NoRoom, OSError) as error:
            arrival.error, arrival.is_whole, arrival.is_odd = error, True, True
        if arrival.is_whole:
            self._work()
            return
        if arrival.request and arrival.request.wants_continue and not arrival.taken:
            arrival.request.wants_continue = False
            self.sock.send(CONTINUE)
        self._wait()

    def _meet(self) -> None:
        """The head is here, and says who it is from."""
        arrival = self.arrival
        request = arrival.request if arrival else None
        token = request.value("AUTHORIZATION") if request else None
        self.is_member = bool(token) and not self.was_refused and self._hub.is_member(token)
        if arrival:
            arrival.is_member = self.is_member
        self._pace = Pace(self._hub.limits.silence)

    def _work(self) -> None:
        self.state = State.WORKING
        self.number += 1
        self._hub.work(self)

    def answered(self, status: int, *, is_over: bool) -> None:
        """A thread has written the answer; `is_over`: nothing comes after it. 401 makes strangers
        of those who claim to be somebody."""
        if self.outbox.is_broken or self.arrival is None:
            self.drop()
            return
        arrival, self.arrival = self.arrival, None
        arrival.close()
        self.was_refused = status == 401
        self._is_over, self.surplus = is_over or arrival.is_odd, arrival.discarded
        now = time.monotonic()
        self._pace, self.since = Pace(self._hub.limits.silence, self.outbox.sent), now
        self._hub.waits(self)
        self.state = State.SENDING
        try:
            self._send(None)
        except OSError:
            self.drop()

    def _send(self, most: int | None = SENT_BYTES) -> None:
        if self.outbox.flush(most):
            self._settle()
        else:
            self._wait(writes=True)

    def _settle(self) -> None:
        """The answer has left."""
        self.outbox.close()
        self.since = time.monotonic()
        if not self._is_over:
            self.state = State.READING
            if self.inbox:
                self._advance()
            else:
                self._wait()
            return
        self._discarded(len(self.inbox))
        self.inbox = bytearray()

    def _discard(self) -> None:
        data = self.sock.recv(READ_BYTES)
        if data:
            self._discarded(len(data))
        else:
            self.drop()

    def _discarded(self, size: int) -> None:
        """So many bytes came that nobody wants. Once what was announced has come, say goodbye."""
        self.surplus -= size
        if self.state is State.SENDING:
            self._pace = Pace(self._hub.limits.silence, -self.surplus)
            self.state = State.DISCARDING
        if self.surplus <= 0 and self.state is State.DISCARDING:
            self.state, self.since = State.LEAVING, time.monotonic()
            self.sock.shutdown(socket.SHUT_WR)
        if self.surplus < -LINGER_BYTES:
            self.drop()
        else:
            self._wait()

    def is_lost(self, now: float) -> bool:
        """Whether it says nothing, sends or reads too slowly."""
        limits = self._hub.limits
        if self.state is State.READING:
            if self.arrival and self.arrival.request:
                return self._pace.is_lost(now, self.arrival.taken)
            is_idle = self.arrival is None and self.number
            return now - self.since > (limits.keepalive if is_idle else limits.silence)
        if self.state is State.SENDING:
            return self._pace.is_lost(now, self.outbox.sent - self._in_system())
        if self.state is State.DISCARDING:
            return self._pace.is_lost(now, -self.surplus)
        return self.state is State.LEAVING and now - self.since > LINGER_SECONDS

    def is_idle(self) -> bool:
        """Whether it is between two requests."""
        return self.state is State.READING and self.arrival is None

    def _in_system(self) -> int:
        """Bytes that its system has not got yet, though ours took them (Linux, BSD)."""
        with suppress(OSError):
            return int(struct.unpack("i", fcntl.ioctl(self.fd, termios.TIOCOUTQ, b"\0" * 4))[0])
        return 0

    def drop(self) -> None:
        """It is over at once."""
        self._hub.forget(self)
        self.outbox.close()
        if self.arrival is not None:
            self.arrival.close()
        self.sock.close()
