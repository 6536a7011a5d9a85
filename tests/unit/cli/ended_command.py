"""A command of `qdexp` in this process, and what it left behind."""

from dataclasses import dataclass

import pytest

from qdexp.cli.app import main


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str


def ended(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ended:
    """Runs `qdexp` with these words, to its end."""
    monkeypatch.setattr("sys.argv", ["qdexp", *words])
    with pytest.raises(SystemExit) as exited:
        main()
    captured = capsys.readouterr()
    assert isinstance(exited.value.code, int)
    return Ended(code=exited.value.code, out=captured.out, err=captured.err)
