"""Webhooks: a signed POST for each event, as Standard Webhooks says (standardwebhooks.com)."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import orjson
from flask import Flask
from standardwebhooks.webhooks import Webhook as Signer

from environ import ConfigError
from melon_api.events.event import Event
from melon_api.events.registry import WEBHOOKS, GiveUp, NotTaken
from melon_api.events.webhooks.transport import post
from melon_api.models.outbox import CREATED, DELETED, UPDATED
from melon_api.sync.discovery import synced_tables
from melon_api.sync.rules.tables import SyncedTable

GONE = 410  # RFC 9110 §15.5.11


@dataclass(frozen=True)
class Webhook:
    """`tables`: of which it is told, by the phones' names; none for all."""

    url: str = field(repr=False)  # which may be a secret, too
    secret: str = field(repr=False)
    tables: frozenset[str]
    loopback: bool

    @property
    def name(self) -> str:
        """An address may be a secret, and is of any length."""
        return f"webhook:{urlsplit(self.url).hostname}"[:90] + f":{_digest(self.url)}"

    def listens(self, table: SyncedTable) -> bool:
        return not self.tables or table.name in self.tables

    def deliver(self, event: Event) -> None:
        body, now = orjson.dumps(message(event)), datetime.now(UTC)
        signature = Signer(self.secret).sign(event.id, now, body.decode())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Melon-Webhooks",
            "webhook-id": event.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        try:
            status = post(self.url, body, headers, loopback=self.loopback)
        except (OSError, HTTPException) as error:
            raise NotTaken(f"{type(error).__name__}: {error}") from error
        if status == GONE:
            raise GiveUp("it answered 410")
        if not 200 <= status < 300:
            raise NotTaken(f"it answered {status}")


def message(event: Event) -> dict[str, Any]:
    """What is sent; the contract has it (The server's own changes)."""
    tables = {
        table: {
            "saved": [*kinds.get(CREATED, ()), *kinds.get(UPDATED, ())],
            "deleted": kinds.get(DELETED, []),
        }
        for table, kinds in event.tables.items()
    }
    committed = datetime.fromtimestamp(event.committed_ms / 1000, UTC)
    return {
        "type": "records.changed",
        "timestamp": committed.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {"space_id": event.account_id, "clock": event.clock, "tables": tables},
    }


def init_app(app: Flask) -> None:
    """Raises ConfigError for a table in WEBHOOK_TABLES that is not there."""
    tables = frozenset(app.config["WEBHOOK_TABLES"])
    if unknown := sorted(tables - synced_tables().keys()):
        raise ConfigError(f"WEBHOOK_TABLES: there is no table {', '.join(map(repr, unknown))}")
    secret, loopback = app.config["WEBHOOK_SECRET"], app.config["WEBHOOK_ALLOW_LOOPBACK"]
    app.extensions[WEBHOOKS] = [
        Webhook(url, secret, tables, loopback) for url in app.config["WEBHOOK_URLS"]
    ]


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
