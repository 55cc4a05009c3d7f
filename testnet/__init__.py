"""Local networks of real processes, and what goes wrong in them on purpose."""
