"""Shared spaces: who is in them, in which role, how people come in; no record but to end it."""
