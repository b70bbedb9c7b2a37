"""What no schema could be read from."""


class Unreadable(Exception):
    """What was given is no schema, or is one that only a running app knows; the message says where
    and what to do."""
