"""The composition root of experiments: what the command line and ``import qdexp`` both call.

Every function here does what the command of its name does: the same errors, the same files. It
returns data and prints nothing; who wants to hear of a run while it goes on is its `Audience`.

Interruptions: while `run` works in the main thread, Ctrl-C, SIGTERM and SIGUSR1 stop it at the next
safe point with everything saved, and it raises `qdexp.InterruptedRunError`, which is an Exception
and no KeyboardInterrupt; the same call goes on from there. A second Ctrl-C does not wait for a safe
point, and raises the same. Former signal handlers are back when the call ends. In another thread,
where Python allows no handlers, a signal has its usual effect on the main thread only.
"""
