"""What became of an account's syncs, for who helps people: counts and codes, and no contents."""
