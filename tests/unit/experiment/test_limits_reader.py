"""Resources and budgets of a spec: what they mean, and where they are wrong."""

from pathlib import Path

import pytest

from qdexp.errors import SpecError
from qdexp.experiment.limits_reader import seconds_from_duration
from qdexp.experiment.reader import read_spec
from qdexp.experiment.spec import Budget, Resources, Spec

SPEC = """\
name: sizes
question: Does size matter?
preset: tiny
set: {training.batch_size: 4}
factors:
  model.num_embeddings: {levels: [64, 128], baseline: 64}
"""


def read(folder: Path, more: str) -> Spec:
    path = folder / "spec.yaml"
    path.write_text(SPEC + more)
    return read_spec(path)


def test_what_is_not_said_is_one_process_two_retries_and_all_the_time(tmp_path: Path) -> None:
    spec = read(tmp_path, "")
    assert spec.resources == Resources(cpus=1, gpus=None, processes=1, retries=2)
    assert spec.budget == Budget(trial=None, experiment=None)


def test_all_of_it_is_read_and_in_the_definition(tmp_path: Path) -> None:
    spec = read(
        tmp_path,
        "resources: {cpus: 2, gpus: 3, processes: 4, retries: 0}\n"
        "budget: {trial: 90 s, experiment: 1.5 h}\n",
    )
    assert spec.resources == Resources(cpus=2, gpus=3.0, processes=4, retries=0)
    assert spec.budget == Budget(trial=90.0, experiment=5400.0)
    assert spec.definition()["resources"]["processes"] == 4
    assert spec.definition()["budget"] == {"trial": 90.0, "experiment": 5400.0}


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90 s", 90.0),
        ("30 min", 1800.0),
        ("2 h", 7200.0),
        ("1 d", 86400.0),
        ("0.5h", 1800.0),
        (" 2  h ", 7200.0),
        ("0 s", None),
        ("-1 s", None),
        ("30", None),
        (30, None),
        ("30 m", None),
        ("h", None),
        ("1e3 s", None),
        ("inf h", None),
        ("", None),
        (True, None),
        (None, None),
    ],
)
def test_durations_have_a_unit(written: object, seconds: float | None) -> None:
    assert seconds_from_duration(written) == seconds


@pytest.mark.parametrize(
    ("more", "line", "column", "problem"),
    [
        ("budget: {trial: 30}", 7, 17, "expected a duration such as 90 s, 30 min, 2 h or 1 d"),
        ("budget: {trail: 30 s}", 7, 10, "expected one of trial, experiment, found 'trail'"),
        ("budget: 30 min", 7, 9, "expected trial, experiment"),
        ("budget:\n  experiment: 0 h", 8, 15, "found '0 h'"),
        ("resources: {processes: 0}", 7, 24, "expected a whole number from 1 to 10000, found 0"),
        ("resources: {processes: 3}", 7, 24, "divisor of training.batch_size, which is 4, found 3"),
        ("resources: {processes: true}", 7, 24, "found True"),
        ("resources: {retries: -1}", 7, 22, "expected a whole number from 0 to 100, found -1"),
        ("resources: {cpus: 0.5}", 7, 19, "expected a whole number from 1, found 0.5"),
        ("resources: {gpus: 1.5}", 7, 19, "a fraction of one GPU or a whole number of them"),
        ("resources: {gpus: 0.5, processes: 2}", 7, 19, "whole GPUs for each process, found 0.5"),
        ("resources: {gpus: -1}", 7, 19, "expected auto or a number from 0"),
        ("resources: {gpu: 1}", 7, 13, "did you mean 'gpus'"),
    ],
)
def test_what_is_wrong_is_refused_at_its_place(
    tmp_path: Path, more: str, line: int, column: int, problem: str
) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, more + "\n")
    assert problem in str(caught.value)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_whole_batches_are_asked_of_our_own_training_only(tmp_path: Path) -> None:
    (tmp_path / "my_training.py").write_text("def train(trial, workspace):\n    yield\n")
    own = read(tmp_path, "resources: {processes: 3}\ntrainable: my_training:train\n")
    assert own.resources.processes == 3
