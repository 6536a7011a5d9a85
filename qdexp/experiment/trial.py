"""A trial: one configuration and one seed, which is what is run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from qdexp.config.configuration import Configuration
from qdexp.experiment import identity
from qdexp.experiment.replicates import MOST, replicates_of

DEFAULT_TRAINABLE = "qdexp.training.run_trial:run_trial"

TEACHER = "teacher"
"""What a trial without a condition is: an experiment compares at least one factor."""

Condition = Mapping[str, Any]
"""One level for every factor: dotted field names to values, in the spec's order."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is run, complete: nothing else enters its result.

    Args:
        configuration: The resolved configuration.
        seed: The replicate; seeds data order, noise, timesteps and initial weights.
        data_fingerprint: Hash of the inputs that the data are made of.
        trainable: The generator that runs it, ``package.module:function``.
    """

    configuration: Configuration
    seed: int
    data_fingerprint: str
    trainable: str = DEFAULT_TRAINABLE

    @cached_property
    def trial_id(self) -> str:
        """16 hexadecimal digits, equal for equal content."""
        return replicates_of(self.configuration).trial_beginning.ended(**self._rest())

    @cached_property
    def trajectory_id(self) -> str:
        """Equal for trials that differ only in length, sampling and evaluation."""
        return replicates_of(self.configuration).trajectory_beginning.ended(**self._rest())

    @cached_property
    def teacher(self) -> "Trial | None":
        """The trial whose final weights this one distils, or None if it distils none."""
        configuration = replicates_of(self.configuration).teacher
        return replace(self, configuration=configuration) if configuration else None

    def to_json(self) -> str:
        """Returns the text that crosses process boundaries."""
        text = replicates_of(self.configuration).text
        return f'{{"configuration":{text},{identity.canonical_json(self._rest())[1:]}'

    @staticmethod
    def from_json(text: str) -> "Trial":
        """Builds the trial that `to_json` described."""
        # Nothing after this key holds another object, and in a text its quotes would be escaped:
        # so a configuration's text is cut out, and parsed once for all its seeds.
        before, key, after = text.rpartition(',"data_fingerprint":')
        configuration = _configuration(before.removeprefix('{"configuration":'))
        return Trial(configuration=configuration, **json.loads(f"{{{key[1:]}{after}"))

    def _rest(self) -> dict[str, Any]:
        """Returns all but the configuration."""
        return {
            "seed": self.seed,
            "data_fingerprint": self.data_fingerprint,
            "trainable": self.trainable,
        }


@lru_cache(maxsize=MOST)
def _configuration(text: str) -> Configuration:
    """Returns the configuration that a text describes: one object for all its seeds."""
    return Configuration.model_validate_json(text)


def condition_label(condition: Condition) -> str:
    """Returns a condition as people read it: ``num_embeddings=4096, max_step=980``."""
    parts = (f"{field.rpartition('.')[2]}={value}" for field, value in condition.items())
    return ", ".join(parts) or TEACHER
