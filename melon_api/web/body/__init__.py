"""A request's body: how it arrives, is unpacked and parsed, and what that may cost."""
