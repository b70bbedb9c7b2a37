"""ID tokens of providers: by whose keys, and what is checked of them; knows no account."""
