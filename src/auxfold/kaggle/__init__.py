"""From trained folds to a Kaggle dataset and notebook, and what runs there."""
