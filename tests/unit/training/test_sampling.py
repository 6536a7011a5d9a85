"""Samples are a function of network, seed, number and the size of a batch."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from qdexp.config.configuration import Configuration
from qdexp.data.clip_files import frames_of, gif, side_by_side
from qdexp.errors import CheckpointError
from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.model.predictor import Prediction
from qdexp.results.outcome import Outcome
from qdexp.training import checkpoint
from qdexp.training.course import Course, make_course, parametrisation_of
from qdexp.training.parallel import Ranks
from qdexp.training.sampling import Sampler, sampled_latents
from qdexp.training.trained import open_trained
from qdexp.training.training_state import TrainingState, result_tensors

Start = Callable[..., tuple[TrainingState, Course]]
MakeConfig = Callable[..., Configuration]
MakeTrial = Callable[..., Trial]
Finish = Callable[..., Outcome]
KINDS = ("ema", "cosine", "gradient", "simvq", "fsq", "lfq", "none")


@pytest.fixture
def sampler(start: Start, make_config: MakeConfig) -> Callable[..., Sampler]:
    def make(**changes: object) -> Sampler:
        config = make_config(diffusion__sampling_steps=3, **changes)
        state, _ = start(config.replace({"training.objective": "diffusion"}))
        return Sampler.of(state.model, config, parametrisation_of(config, torch.device("cpu")))

    return make


@pytest.mark.parametrize("objective", ["diffusion", "dmd"])
def test_samples_differ_by_number_and_seed_only(
    sampler: Callable[..., Sampler], objective: str
) -> None:
    made = sampler(training__objective=objective, diffusion__sampling_eta=1.0)
    other = Sampler(**{**vars(made), "seed": 1})
    first = made.sample(range(2))

    assert torch.equal(made.sample(range(2)), first)
    assert not torch.allclose(made.sample(range(2, 4)), first)
    assert not torch.allclose(other.sample(range(2)), first)
    assert not torch.allclose(first[0], first[1])


def test_every_call_is_watched_in_its_order(sampler: Callable[..., Sampler]) -> None:
    seen: list[tuple[int, tuple[int, ...]]] = []

    def watch(call: int, prediction: Prediction) -> None:
        seen.append((call, tuple(prediction.indices.shape)))

    sampler().sample(range(2), watch)
    assert seen == [(call, (2, 2, 4, 4, 1)) for call in range(3)]


def test_a_sample_has_the_shape_that_is_asked_for(sampler: Callable[..., Sampler]) -> None:
    larger = Sampler(**{**vars(sampler()), "shape": (16, 3, 6, 8)})
    assert larger.sample(range(1)).shape == (1, 16, 3, 6, 8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_alone_samples_what_its_training_did(
    make_trial: MakeTrial,
    make_workspace: Callable[..., Workspace],
    finish: Finish,
    kind: str,
) -> None:
    trial = make_trial(
        model__quantizer=kind,
        training__max_steps=2,
        training__ema_weights_decay=0.9,
        diffusion__sampling_steps=2,
    )
    finish(trial, "a")
    workspace = make_workspace("a")
    path = workspace.folder / "final_checkpoint.pt"
    trained = open_trained(path)
    config, device = trained.configuration, torch.device("cpu")
    own = Sampler.of(trained.model, config, parametrisation_of(config, device))

    course = make_course(config, 0, torch.zeros(1, *config.latent_shape), device, Ranks())
    expected = result_tensors(checkpoint.read(path).state)

    assert config == trial.configuration
    assert trained.model.state_dict().keys() == expected.keys()
    assert torch.equal(own.sample(range(2)), sampled_latents(trained.model, course, 2))
    clips = [frames_of(trained.space.decode(each[None])[0]) for each in own.sample(range(4))]
    assert gif(side_by_side(clips)) == (workspace.folder / "samples.gif").read_bytes()


def test_averaged_weights_are_what_is_sampled(
    make_trial: MakeTrial, make_workspace: Callable[..., Workspace], finish: Finish
) -> None:
    finish(make_trial(training__max_steps=4, training__ema_weights_decay=0.9), "a")
    path = make_workspace("a").folder / "final_checkpoint.pt"
    state = checkpoint.read(path).state
    sampled = open_trained(path).model.state_dict()["to_code.weight"]

    assert torch.equal(sampled, state["average"]["to_code.weight"])
    assert not torch.equal(sampled, state["learner"]["model"]["to_code.weight"])


@pytest.fixture
def changed(
    make_trial: MakeTrial, make_workspace: Callable[..., Workspace], finish: Finish
) -> Callable[..., Path]:
    """Writes the checkpoint of a trained model again, with parts of it changed."""

    def change(**parts: object) -> Path:
        finish(make_trial(training__max_steps=1), "a")
        path = make_workspace("a").folder / "final_checkpoint.pt"
        found = checkpoint.read(path)
        checkpoint.save(checkpoint.Checkpoint(**{**vars(found), **parts}), path)
        return path

    return change


def test_tensors_of_another_configuration_are_refused(
    changed: Callable[..., Path], make_config: MakeConfig
) -> None:
    path = changed(configuration=make_config(model__hidden_dim=32).fields())
    with pytest.raises(CheckpointError, match=r"the network of its own configuration, with .*16"):
        open_trained(path)


def test_a_configuration_of_another_version_is_refused_by_its_field(
    changed: Callable[..., Path], make_config: MakeConfig
) -> None:
    path = changed(configuration=make_config().fields() | {"model.colour": "red"})
    with pytest.raises(CheckpointError, match=r"found the unknown fields model\.colour"):
        open_trained(path)


def test_a_checkpoint_older_than_a_field_has_its_default(
    changed: Callable[..., Path], make_config: MakeConfig
) -> None:
    fields = make_config().fields()
    del fields["evaluation.shown_clips"]
    assert open_trained(changed(configuration=fields)).configuration.evaluation.shown_clips == 4


def test_latents_of_another_autoencoder_are_refused(changed: Callable[..., Path]) -> None:
    path = changed()
    space = checkpoint.read(path).latent_space
    path = changed(latent_space=space | {"mean": [0.0] * 8, "deviation": [1.0] * 8})
    with pytest.raises(CheckpointError, match="an autoencoder of 16 channels, found one of 8"):
        open_trained(path)
