"""What every HTTP request and answer passes; only routes and the factory import from here."""
