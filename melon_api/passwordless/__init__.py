"""Ways in without a password, and what proves that somebody is an account's holder."""
