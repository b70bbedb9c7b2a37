"""Plain calls of phones, answered in front of Flask: most of their cost there is its own."""
