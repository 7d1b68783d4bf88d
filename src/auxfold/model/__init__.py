"""One backbone, one pooling, one head per task."""
