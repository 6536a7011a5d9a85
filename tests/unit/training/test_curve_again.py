"""A trial that goes on tells of its held-out curve again: a search may not have heard of it."""

from collections.abc import Callable
from contextlib import closing

from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Progress
from qdexp.training.run_trial import run_trial

CURVE = "eval.curve_denoising_loss"


def curve(reports: list[Progress]) -> list[tuple[int, float]]:
    return [(r.step, r.measurements[CURVE]) for r in reports if CURVE in r.measurements]


def test_curve_up_to_the_checkpoint_is_reported_again_with_the_same_values(
    make_trial: Callable[..., Trial], make_workspace: Callable[..., Workspace]
) -> None:
    whole = list(run_trial(make_trial(), make_workspace("whole")))
    everything = curve([each for each in whole if isinstance(each, Progress)])
    assert [step for step, _ in everything] == [0, 2, 4]

    workspace = make_workspace("cut")
    heard: list[Progress] = []
    with closing(run_trial(make_trial(), workspace)) as reports:  # type: ignore[type-var]
        for report in reports:
            assert isinstance(report, Progress)
            heard.append(report)
            if report.step >= 4:
                break
    again = [each for each in run_trial(make_trial(), workspace) if isinstance(each, Progress)]
    first, *others = again
    assert first.step >= 4
    assert curve(others[:3]) == everything
    assert curve(again) == everything
    assert curve(heard) == everything
