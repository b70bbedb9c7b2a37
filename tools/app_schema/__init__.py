"""The app's side of the synced tables: WatermelonDB's schema, migrations and models, printed from
the server's (docs/app-schema.md), and an app's own schema compared with them."""
