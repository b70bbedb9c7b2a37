"""Pull and push: what one device changed reaches the others."""
