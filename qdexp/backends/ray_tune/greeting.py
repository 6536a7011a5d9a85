# pyright: basic
"""A program: joins the Ray cluster at an address for a moment, and says what it found.

Where nobody answers, Ray waits for minutes and writes to the terminal: in a process of its own this
can be ended. It prints one JSON object: the address, or why not. It is run by its path and imports
nothing of qdexp.
"""

import json
import logging
import sys

import ray


def main() -> None:
    """Joins the cluster named by the first argument, and prints the outcome."""
    try:
        ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.CRITICAL)
        found = {"address": ray.get_runtime_context().gcs_address}
        ray.shutdown()
    except Exception as error:  # noqa: BLE001  whatever it is, it is said
        found = {"problem": f"{error}\n{error.__cause__ or ''}"}
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main()
