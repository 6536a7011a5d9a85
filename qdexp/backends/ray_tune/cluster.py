# pyright: basic
"""The Ray cluster that trials run on."""

import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray

from qdexp.errors import InterruptedRunError

_ENVIRONMENT = {
    "RAY_AUTH_TOKEN": secrets.token_hex(32),  # else Ray writes one into the home folder
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints a table even where verbose is 0
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a trainable sees the same working directory as inline
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # its kills break Tune; the kernel's are lost workers
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours raises, and also hears SIGTERM
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}


@contextmanager
def local_cluster() -> Iterator[None]:
    """Has a Ray cluster on this machine; one that is already there is used, and left alone."""
    if ray.is_initialized():
        yield
        return
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        with _python_path_of_this_process(), _sigterm_interrupts():
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
            )
        yield
    finally:
        ray.shutdown()


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Makes an interruption of Ray's own answer to SIGTERM, and gives the handler back after it.

    Raises:
        InterruptedRunError: A SIGTERM came, and Ray took it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as error:
        raise InterruptedRunError(
            "stopped by SIGTERM while Ray started: the same command starts again"
        ) from error
    finally:
        signal.signal(signal.SIGTERM, former)


@contextmanager
def _python_path_of_this_process() -> Iterator[None]:
    """Lets processes started meanwhile import whatever this one can."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(str(Path(each).absolute()) for each in sys.path)
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
