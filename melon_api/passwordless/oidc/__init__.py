"""Providers: whose keys sign ID tokens, what is checked of those, and what is revoked there."""
