"""Benchmarks: what the protocol costs, each figure beside the raw cost it is measured against."""
