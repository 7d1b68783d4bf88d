"""Several runs as one: joined by id, their weights, and what blending honestly brings."""
