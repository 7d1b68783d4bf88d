"""Files of a competition as tables, folds, token ids and batches of token ids."""
