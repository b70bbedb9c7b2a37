"""A push into several spaces: what goes where, what moves, and a merge for each."""
