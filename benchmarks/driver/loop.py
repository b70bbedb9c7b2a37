"""A closed loop: each client sends its next request when the last answer is in."""

import selectors
import time
from statistics import median

from benchmarks.driver.server import Server
from benchmarks.driver.wire import Failed, Reply


class Client:
    """One connection of a closed loop: it sends the next request when the last answer is in."""

    def __init__(self, server: Server, next_request, on_answer=None) -> None:
        self.connection = server.connection()
        self.next_request = next_request
        self.on_answer = on_answer
        self.reply = Reply()
        self.request = b""
        self.started = 0.0

    def start(self) -> None:
        self.request = self.next_request()
        self.reply = Reply()
        self.started = time.perf_counter()
        try:
            self.connection.open().sendall(self.request)
        except OSError:
            self.connection.close()
            self.connection.open().sendall(self.request)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def closed_loop(server: Server, key: str, clients: list[Client], seconds: float) -> None:
    """For so many seconds; records requests/s, latencies in ms, server CPU per request, errors."""
    selector = selectors.DefaultSelector()
    errors = server.errors.setdefault(key, {})
    latencies: list[float] = []
    cpu = server.tree.cpu_seconds() if server.tree else 0.0
    own_cpu = time.process_time()
    started = time.perf_counter()
    end = started + seconds
    give_up = end + min(20.0, server.timeout())
    for client in clients:
        client.start()
        selector.register(client.connection.sock, selectors.EVENT_READ, client)
    running, in_time = len(clients), 0
    while running:
        events = selector.select(1)
        if not events and time.perf_counter() > give_up:
            raise Failed(f"{key}: {running} requests were never answered")
        for event, _ in events:
            client: Client = event.data
            try:
                data = client.connection.sock.recv(1 << 18)
            except OSError:
                data = b""
            if data and not client.reply.feed(data):
                continue
            now = time.perf_counter()
            lost = not data
            if lost:
                errors["connection lost"] = errors.get("connection lost", 0) + 1
            elif client.reply.status >= 300:
                name = str(client.reply.status)
                errors[name] = errors.get(name, 0) + 1
            else:
                latencies.append(now - client.started)
                in_time += now <= end
                if client.on_answer:
                    client.on_answer(client.reply)
            reconnect = lost or client.reply.close
            if reconnect:
                selector.unregister(client.connection.sock)
                client.connection.close()
            if now < end:
                client.start()
                if reconnect:
                    selector.register(client.connection.sock, selectors.EVENT_READ, client)
            else:
                running -= 1
                if not reconnect:
                    selector.unregister(client.connection.sock)
    selector.close()
    for client in clients:
        client.connection.close()
    server.record(f"{key}_rps", in_time / seconds)
    if latencies:
        server.record(f"{key}_p50", median(latencies) * 1000)
        server.record(f"{key}_p99", percentile(latencies, 0.99) * 1000)
    server.info[f"{key}_driver_cpu"] = round(
        (time.process_time() - own_cpu) / (time.perf_counter() - started), 2
    )
    if server.tree and latencies:
        server.record(f"{key}_cpu", (server.tree.cpu_seconds() - cpu) / len(latencies) * 1000)
