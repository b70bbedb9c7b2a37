"""The caller's own account, and what an operator may do to accounts."""
