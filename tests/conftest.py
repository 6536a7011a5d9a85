"""What holds for all tests."""

import os
import random
import signal

# A shell's background jobs ignore Ctrl-C, and so would every command that a test starts and stops.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Drawn here, since the processes that share a session inherit it.
SEED = os.environ.get("QDEXP_FAULT_SEED") or str(random.SystemRandom().getrandbits(32))
os.environ["QDEXP_FAULT_SEED"] = SEED


def pytest_report_header() -> str:
    """Says how the faults of this session can be repeated."""
    return f"faults: QDEXP_FAULT_SEED={SEED}"
