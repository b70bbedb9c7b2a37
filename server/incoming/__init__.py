"""Requests on their way in: heads, bodies, and where each ends."""
