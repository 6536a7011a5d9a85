# pyright: basic
"""A program: keeps a Ray cluster on this machine for as long as its standard input stays open.

The driver starts it in a session of its own, so that a signal to the driver's process group (what
`timeout` and schedulers send) does not reach Ray's processes, and holds the other end of the pipe.
However the driver ends, the pipe closes, and this program ends the cluster. Should this program be
killed itself, the kernel kills Ray's processes with it.

It is run by its path and imports nothing of qdexp, so that it starts while the driver still
imports. It prints the cluster's address when the cluster is ready.
"""

import logging
import signal
import sys

import ray


def main() -> None:
    """Starts the cluster, says where it is, and ends it when the driver does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides when to stop
    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
    )
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout.write(f"{ray.get_runtime_context().gcs_address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    ray.shutdown()


if __name__ == "__main__":
    main()
