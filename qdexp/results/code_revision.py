"""Which code ran: the commit, and what was changed since."""

import subprocess
from pathlib import Path
from typing import Any

MOST_DIFF_CHARACTERS = 200_000
"""Longer changes are cut: they are kept to be read, not to be applied."""


def code_revision() -> dict[str, Any]:
    """Returns the commit of the checkout that holds the package, or else of the current folder.

    ``commit`` and ``dirty`` are absent where there is none. ``diff`` is the text of the changes of
    tracked files, and there only if there are some. Files that git does not track are none of it:
    specs are written beside the code all the time, and are in the ledger anyway.
    """
    for folder in (Path(__file__).parent, Path.cwd()):
        commit = _git(folder, "rev-parse", "HEAD").strip()
        if commit:
            # Whatever the user's own settings are, equal changes give one text.
            diff = _git(folder, "diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv")
            return {"commit": commit, "dirty": bool(diff), **({"diff": _cut(diff)} if diff else {})}
    return {}


def _cut(diff: str) -> str:
    if len(diff) <= MOST_DIFF_CHARACTERS:
        return diff
    return f"{diff[:MOST_DIFF_CHARACTERS]}\n[the first {MOST_DIFF_CHARACTERS} of {len(diff)}]\n"


def _git(folder: Path, *arguments: str) -> str:
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout if result.returncode == 0 else ""
