"""Pull and push: the routes, and the two stories in named steps."""
