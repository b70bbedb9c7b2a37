"""Webhooks: a signed POST for each event, over TLS, to public addresses alone."""
