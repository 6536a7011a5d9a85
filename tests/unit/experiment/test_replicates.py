"""What seeds share is computed once, and no identity is another than if it were not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdexp.config.presets import PRESETS, preset
from qdexp.experiment import identity
from qdexp.experiment.replicates import replicates_of
from qdexp.experiment.trial import Trial

names = st.text(st.characters(categories=("L", "N", "P", "S", "Z")), min_size=1, max_size=20)


@given(
    name=st.sampled_from(PRESETS),
    seed=st.integers(0, 2**63),
    data=names,
    trainable=names,
)
def test_ids_are_those_of_the_whole_content(
    name: str, seed: int, data: str, trainable: str
) -> None:
    trial = Trial(configuration=preset(name), seed=seed, data_fingerprint=data, trainable=trainable)
    content = {
        "fields": trial.configuration.fields(),
        "seed": seed,
        "data_fingerprint": data,
        "trainable": trainable,
    }
    assert trial.trial_id == identity.trial_id(**content)
    assert trial.trajectory_id == identity.trajectory_id(**content)
    assert Trial.from_json(trial.to_json()) == trial
    assert Trial.from_json(trial.to_json()).trial_id == trial.trial_id


def test_a_trial_s_text_is_the_canonical_one_of_its_whole_content() -> None:
    trial = Trial(configuration=preset("tiny"), seed=3, data_fingerprint='a"},"data_fingerprint":')
    whole = {
        "configuration": trial.configuration.plain(),
        "data_fingerprint": trial.data_fingerprint,
        "seed": 3,
        "trainable": trial.trainable,
    }
    assert trial.to_json() == identity.canonical_json(whole)
    assert Trial.from_json(trial.to_json()) == trial


def test_seeds_of_one_configuration_share_what_equal_ones_do_not() -> None:
    one = preset("tiny").replace({"training.max_steps": 7})
    equal = preset("tiny").replace({"training.max_steps": 7})
    assert one == equal
    assert replicates_of(one) is replicates_of(one)
    assert replicates_of(one) is not replicates_of(equal)


def test_revision_is_read_when_an_id_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = preset("tiny")
    before = Trial(configuration=configuration, seed=0, data_fingerprint="d").trial_id
    monkeypatch.setattr(identity, "RESULTS_REVISION", 99)
    assert Trial(configuration=configuration, seed=0, data_fingerprint="d").trial_id != before
