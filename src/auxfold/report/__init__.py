"""Metrics, the cross-validated table and the report."""
