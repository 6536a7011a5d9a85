"""A round of an ablation path keeps the best of those that completed."""

from collections.abc import Sequence

from qdexp.config.presets import preset
from qdexp.execution.path_walk import Measured, Rules, walked
from qdexp.experiment.ablation_path import Round
from qdexp.experiment.changes import Changes

LEADS, IS_GOOD, IS_NOISY = "model.ema_decay", "model.dropout", "model.commitment_cost"
VALUES: dict[str, list[float | None]] = {
    LEADS: [0.0, 0.01, 0.02, 0.01, None],
    IS_GOOD: [1.0, 1.02, 1.01, 1.0, 1.0],
    IS_NOISY: [20.0, -5.0, 3.0, 1.0, 6.0],
}


def test_what_a_candidate_had_beaten_that_fails_later_races_again_without_it() -> None:
    baseline = preset("tiny")
    fields = baseline.fields()
    changes = Changes(baseline, {field: fields[field] / 2 + 0.01 for field in VALUES})

    def measure(rounds: Sequence[Round], num_seeds: int) -> Measured:
        listed = [each for each in rounds[-1].candidates if each.is_listed]
        return [(each.condition, VALUES[each.change[0]][:num_seeds]) for each in listed]

    path = walked(changes, Rules(num_seeds=5, direction="lower", is_raced=True), measure)
    assert path[0].kept is not None
    assert path[0].kept.change == (IS_GOOD,), "the noisy one stayed beside a leader that failed"
