"""For the developer alone: nothing in `melon_api/` needs what is in here to serve."""
