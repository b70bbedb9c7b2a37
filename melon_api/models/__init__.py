"""The tables: one class for each of Melon's own, and the base of those that sync.

A module put into this folder is found by itself. An app's tables are in a room of its own
(docs/app.md), and want one line: `from melon_api.models import Synced, belongs_to, db`.
"""

from melon_api.models.base import JsonText, db
from melon_api.models.names import phone_name
from melon_api.models.synced import Catalogue, Shareable, Synced, belongs_to

__all__ = ["Catalogue", "JsonText", "Shareable", "Synced", "belongs_to", "db", "phone_name"]
