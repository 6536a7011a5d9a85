"""A cluster that lost its last machine ends the run; one that lost another goes on."""

import pytest

from qdexp.backends.ray_tune.pulse import Pulse
from qdexp.errors import InterruptedRunError


def test_cluster_without_a_living_machine_interrupts_the_run() -> None:
    pulse = Pulse(lambda: [{"Alive": False}, {"Alive": False}])
    with pytest.raises(InterruptedRunError, match=r"found none .* the same command"):
        pulse.check()


def test_cluster_that_lost_one_machine_goes_on() -> None:
    Pulse(lambda: [{"Alive": False}, {"Alive": True}]).check()


def test_cluster_is_not_asked_at_every_step() -> None:
    asked: list[None] = []

    def nodes() -> list[dict[str, bool]]:
        asked.append(None)
        return [{"Alive": True}]

    pulse = Pulse(nodes)
    for _ in range(1000):
        pulse.check()
    assert len(asked) < 100
