"""The clips that a trial leaves to be looked at."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from qdexp.data.clip_files import frames_of, gif
from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome
from qdexp.training import shown_clips

MakeTrial = Callable[..., Trial]
Finish = Callable[..., Outcome]


@pytest.fixture
def folder(make_workspace: Callable[..., Workspace]) -> Path:
    return make_workspace("a").folder


def test_samples_and_held_out_clips_lie_in_the_trials_folder(
    make_trial: MakeTrial, finish: Finish, folder: Path
) -> None:
    finish(make_trial(evaluation__shown_clips=2, training__max_steps=1), "a")
    for name in ("samples.gif", "real.gif"):
        with Image.open(folder / name) as image:
            assert image.size == (2 * 32 + 4, 32)
            assert getattr(image, "n_frames", 1) == 5


def test_clips_are_the_same_bytes_whatever_the_number_that_is_measured(
    make_trial: MakeTrial, finish: Finish, folder: Path
) -> None:
    short = {"training__max_steps": 1, "diffusion__sampling_steps": 2}
    finish(make_trial(**short), "a")
    before = (folder / "samples.gif").read_bytes()
    finish(make_trial(**short, evaluation__num_samples=3), "a")
    assert (folder / "samples.gif").read_bytes() == before


def test_none_are_made_where_none_are_wanted(
    make_trial: MakeTrial, finish: Finish, folder: Path
) -> None:
    outcome = finish(make_trial(evaluation__shown_clips=0, training__max_steps=1), "a")
    assert outcome.status == "completed"
    assert not list(folder.glob("*.gif"))


def test_how_many_are_shown_is_no_part_of_a_trial(make_trial: MakeTrial) -> None:
    assert make_trial(evaluation__shown_clips=0).trial_id == make_trial().trial_id


def test_clips_that_cannot_be_written_are_a_warning(
    make_trial: MakeTrial, finish: Finish, folder: Path
) -> None:
    (folder / "samples.gif").mkdir(parents=True)
    outcome = finish(make_trial(training__max_steps=1), "a")
    assert outcome.status == "completed"
    assert "the clips to look at could not be written" in outcome.warnings[-1]


def test_a_network_that_samples_no_numbers_is_shown_black(tmp_path: Path) -> None:
    frames = frames_of(torch.full((3, 5, 16, 16), float("nan")))
    assert shown_clips.write_clips({"samples.gif": gif(frames)}, tmp_path) is None
    with Image.open(io.BytesIO((tmp_path / "samples.gif").read_bytes())) as image:
        assert image.convert("RGB").getextrema() == ((0, 0), (0, 0), (0, 0))
