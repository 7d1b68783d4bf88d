"""From trained folds and a table of texts to one prediction per row."""
