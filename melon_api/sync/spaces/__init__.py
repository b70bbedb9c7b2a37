"""An account with more spaces than its own: where its records are, and what its timestamps mean."""
