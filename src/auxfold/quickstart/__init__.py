"""A first experiment for an unknown table: what its columns are, and a proposed experiment file."""
