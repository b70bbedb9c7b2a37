"""Who someone is: accounts, sign-ins, sessions, tokens; knows nothing of synced records."""
