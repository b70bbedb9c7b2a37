"""What a push and a pull mean, in plain Python: no SQLAlchemy, no Flask, no clock of its own."""
