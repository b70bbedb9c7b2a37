"""What `/docs` says of the calls of `/sync`: made from the models, never read by a request."""
