"""Measurements of fedprofile and of the field, in one schema: `python -m benchmarks --help`."""
