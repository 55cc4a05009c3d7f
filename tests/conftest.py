"""Settings for all tests: how many examples Hypothesis tries, and where its failures go.

`HYPOTHESIS_PROFILE` chooses a profile by name; else `ci` holds where `CI` is set, and `dev` at the
desk. Under `ci` the examples are the same in every run, so a red run is red again when repeated.
"""

import os
import sys

from hypothesis import HealthCheck, settings

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile(
    "ci",
    max_examples=100,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("nightly", max_examples=5_000, deadline=None, print_blob=True)


def pytest_collection_finish() -> None:
    """Undo what importing py_ecc (through web3 in test modules) does to the whole process.

    It raises the recursion limit so far that deep nesting ends the process instead of raising.
    """
    sys.setrecursionlimit(1_000)


settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))
