"""The bias metric: computed, shown, of any table, and beside the competition kernel's way."""
