"""Trials in a ledger that a real writer wrote, and the command as users give it."""

from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from qdexp.cli.app import app
from qdexp.config.presets import preset
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome
from qdexp.results.recorder import Recorder

SPEC = "name: sizes\n"


def trial(seed: int = 0, **fields: Any) -> Trial:  # noqa: ANN401
    configuration = preset("tiny").replace({k.replace("__", "."): v for k, v in fields.items()})
    return Trial(configuration=configuration, seed=seed, data_fingerprint="d")


def ask(recorder: Recorder, *trials: Trial) -> dict[str, str]:
    """Records that these trials are what an experiment asks for, and no others."""
    definition = {
        "name": "sizes", "question": "?", "metrics": {"primary": "eval.denoising_loss"},
        "factors": [{"field": "model.num_embeddings", "levels": [8192, 64], "baseline": 8192}],
        "seeds": [0], "preset": "tiny", "set": {}, "where": None, "design": "full_factorial",
        "resources": {"cpus": 1, "gpus": None}, "trainable": trials[0].trainable,
    }  # fmt: skip
    asked = [(of, {"model.num_embeddings": of.ours.model.num_embeddings}) for of in trials]
    return dict(recorder.record_plan(("sizes.yaml", SPEC, definition), asked))


def record(runs: Path, of: Trial, loss: float = 0.25, **facts: Any) -> None:  # noqa: ANN401
    outcome = Outcome(
        trial_id=of.trial_id,
        status="completed",
        step=200,
        measurements={"eval.denoising_loss": loss, "cost.step_seconds": loss},
        provenance={"commit": "abc", "host": "worker"},
    )
    with Recorder(runs) as recorder:
        asked_by = ask(recorder, of)
        kept = recorder.record_facts({**facts, **asked_by})
        recorder.record_start(of.trial_id, 5.0)
        recorder.record_outcome(
            Outcome(**{**outcome.__dict__, "provenance": {**outcome.provenance, **kept}})
        )


def qdexp(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])
