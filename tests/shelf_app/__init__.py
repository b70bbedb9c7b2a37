"""An app of the tests: shared trees, and records that belong to two others."""
