"""The app's rules: what a record must be before it is stored, and what follows when it is.

Nothing stands here yet; the server imports this module at its start, after the models.
"""
