"""Long-running tasks: each reads ports, asks the core, writes ports."""
