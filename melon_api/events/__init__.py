"""What follows a commit: the outbox, the worker that tells the app's jobs and webhooks."""

from melon_api.events.event import Event
from melon_api.events.registry import GiveUp, after

__all__ = ["Event", "GiveUp", "after"]
