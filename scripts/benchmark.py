"""Replaced by ``python -m benchmarks KIND``."""

import sys

if __name__ == "__main__":
    print("error: scripts/benchmark.py is now python -m benchmarks KIND", file=sys.stderr)
    sys.exit(2)
