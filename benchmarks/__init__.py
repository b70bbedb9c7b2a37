"""How fast the server is, beside its peer and beside what the database alone can do."""
