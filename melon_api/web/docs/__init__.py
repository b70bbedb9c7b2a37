"""The project's docs as pages under `/docs`, and as text for machines: from the same files."""
