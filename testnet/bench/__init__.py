"""Benchmarks: what the protocol costs, each figure beside the cost that nothing could go below.

    python -m testnet bench            all of them, some ten minutes
    python -m testnet bench gas start  these
    python -m testnet bench --quick    tiny sizes: does it run?

Each runs in a process of its own (`suite`). Figures, aims and what they mean are in
`protocols/performance.md`.
"""
