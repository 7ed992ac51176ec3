"""Measurements of habla beside other tools; see docs/benchmarks.md."""
