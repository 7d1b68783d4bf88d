"""From files on disk to batches of token ids: tables, folds, token store, batches."""
