"""What an operator sees: health, logs, the API description."""
