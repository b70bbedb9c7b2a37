"""Records and accounts from elsewhere, line by line: whatever is wrong is one line's own fault."""
