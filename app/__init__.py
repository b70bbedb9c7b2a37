"""The app's own room: its tables, rules, routes and migrations. Newer versions of Melon never edit
it (docs/app.md)."""
