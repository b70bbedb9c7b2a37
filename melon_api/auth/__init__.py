"""Accounts' sign-in: passwords, tokens, sessions."""
