"""What an operator sees: health, logs, metrics, errors, releases."""
