"""Starts the real command line many times in a moment: a process that has imported all of it forks.

Reads one JSON request a line on stdin and answers each with one line: `arguments`, `cwd`,
`environment`, `output` (a file for both of its streams), and, to end it at a moment of its life,
`signal` and `after` (seconds). The child is a process of its own with `qdexp`'s own `main`. Where
`QDEXP_FAULT_RAY` is set, Ray is imported, too; each child starts a cluster of its own.
"""

import atexit
import contextlib
import gc
import json
import os
import signal
import sys
import threading
import time
import traceback
from typing import Any, NoReturn

WITH_RAY = "QDEXP_FAULT_RAY"
SECONDS_TO_HANG = 600.0 if WITH_RAY in os.environ else 120.0
"""After this long a run is taken to hang, and its process group is killed."""


def warm_up() -> None:
    """Imports what a run imports; nothing of it may have started a thread, which no fork copies."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import qdexp_analysis
    import qdexp_analysis.code_histogram
    import torch._dynamo  # which the first optimizer imports

    import qdexp.backends.mlflow_tracker.store
    import qdexp.cli.run_command
    import qdexp.data.preparation
    import qdexp.training.run_trial

    assert torch._dynamo
    assert qdexp.cli.run_command
    assert qdexp_analysis.code_histogram
    if WITH_RAY in os.environ:
        import qdexp.backends.ray_tune

        assert qdexp.backends.ray_tune
    assert threading.active_count() == 1
    gc.freeze()


def serve() -> None:
    """Answers requests until stdin ends; returns only in a child, ready to be qdexp."""
    warm_up()
    _answer({"pid": os.getpid()})
    while line := sys.stdin.readline():
        request = json.loads(line)
        child = os.fork()
        if not child:
            _become_qdexp(request)
            return
        _answer(_waited(child, request))
    os._exit(0)


def _answer(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


def _become_qdexp(request: dict[str, Any]) -> None:
    os.setsid()
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, standard in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, standard)
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    sys.argv = ["qdexp", *request["arguments"]]
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _waited(child: int, request: dict[str, Any]) -> dict[str, Any]:
    """Waits for a child, sending it its signal when that is due; returns how it ended."""
    began = time.monotonic()
    was_sent = request.get("after") is None
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        seconds = time.monotonic() - began
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return {"code": code, "seconds": seconds, "was_sent": was_sent}
        if not was_sent and seconds >= request["after"]:
            os.kill(child, signal.Signals[request["signal"]])
            was_sent = True
        if seconds > SECONDS_TO_HANG:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        time.sleep(0.002)


def _run_qdexp() -> NoReturn:
    """Runs the command line and exits as it does, without taking two seconds to undo imports."""
    import places_of_writing

    places_of_writing.install()
    from qdexp.cli.app import main

    code = 0
    try:
        main()
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 0
    except BaseException:  # noqa: BLE001  as Python itself would
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve()
    _run_qdexp()
