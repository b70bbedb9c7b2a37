"""The app's own code about records: its rules before a push is stored, and its own changes."""

from melon_api.logic.account import Account
from melon_api.logic.records import Changes, Record
from melon_api.logic.registry import before_push
from melon_api.logic.restamping import restamp
from melon_api.logic.writes import account_ids, changes, space_ids
from melon_api.models.space import CATALOGUE

__all__ = [
    "CATALOGUE",
    "Account",
    "Changes",
    "Record",
    "account_ids",
    "before_push",
    "changes",
    "restamp",
    "space_ids",
]
