"""What a push leaves in the database: its rows, its number, and how it is known afterwards."""
