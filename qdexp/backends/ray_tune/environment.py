"""Ray's environment variables, set when this package is imported: Ray reads them only once.

Local clusters and running ones are spoken to in one way: with a token, the user's where there is
one. A cluster without authentication takes no notice of it.
"""

import os
import secrets
import sys
from pathlib import Path

_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints a table even where verbose is 0
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a trainable sees the same working directory as inline
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # its kills break Tune; the kernel's are lost workers
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours raises, and also hears SIGTERM
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}

came_too_late = "ray" in sys.modules and os.environ.get("RAY_AUTH_MODE") != "token"
"""Whether somebody imported Ray before without authentication: a token cannot be shown then."""


def _has_token() -> bool:
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return True
    return (Path.home() / ".ray" / "auth_token").is_file()


for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)
if not came_too_late:
    os.environ.setdefault("RAY_AUTH_MODE", "token")
if not _has_token():
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # else Ray writes one into the home folder
