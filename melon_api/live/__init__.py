"""The second process: tells phones that there is news for them, never what; reads no record."""
