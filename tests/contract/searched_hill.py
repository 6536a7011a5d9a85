"""A search over a toy hill as a file, and the command line that is told of it."""

from typer.testing import CliRunner

from qdexp.cli.app import app

SPEC = """\
name: hill
question: Where is it lowest?
trainable: own_trainables:hill
space:
  x: {low: 0.0, high: 1.0}
  y: {low: 0.0, high: 1.0, step: 0.05}
metrics: {primary: error}
sampler: {name: tpe, n_startup_trials: 4}
budget: {trials: 8}
confirm: {top: 2, seeds: [11, 12, 13]}
"""
OPTIONS = ["--executor", "inline", "--no-tracking", "--no-report"]


def told(*arguments: str, code: int = 0) -> str:
    """Returns what a command says, in one line."""
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())
