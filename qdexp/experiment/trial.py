"""A trial: one configuration and one seed, which is what is run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from qdexp.config.configuration import Configuration
from qdexp.config.own_configuration import OwnConfiguration
from qdexp.config.revision import RESULTS_REVISION
from qdexp.config.settings import Settings
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

    configuration: Settings
    seed: int
    data_fingerprint: str
    trainable: str = DEFAULT_TRAINABLE

    @cached_property
    def trial_id(self) -> str:
        """16 hexadecimal digits, equal for equal content."""
        own = self.configuration
        if isinstance(own, Configuration):
            return replicates_of(own).trial_beginning.ended(**self._rest())
        fields, revision = with_effect(own), self.revision
        return identity.own_trial_id(fields=fields, revision=revision, **self._rest())

    @cached_property
    def trajectory_id(self) -> str:
        """Equal for trials that differ only in length, sampling and evaluation."""
        if isinstance(self.configuration, Configuration):
            return replicates_of(self.configuration).trajectory_beginning.ended(**self._rest())
        return self.trial_id  # nobody knows which of its fields say only how long to train

    @property
    def revision(self) -> int:
        """What the trial's id says of the code that runs it."""
        own = self.configuration
        return own.revision if isinstance(own, OwnConfiguration) else RESULTS_REVISION

    @property
    def ours(self) -> Configuration:
        """The configuration of a trial that trains qdexp's own network.

        Raises:
            TypeError: It is of a user's own training.
        """
        if not isinstance(self.configuration, Configuration):
            raise TypeError(f"expected a Configuration, found that of {self.trainable}")
        return self.configuration

    @cached_property
    def teacher(self) -> "Trial | None":
        """The trial whose final weights this one distils, or None if it distils none."""
        if not isinstance(self.configuration, Configuration):
            return None
        configuration = replicates_of(self.configuration).teacher
        return replace(self, configuration=configuration) if configuration else None

    def to_json(self) -> str:
        """Returns the text that crosses process boundaries."""
        own, rest = self.configuration, self._rest()
        if isinstance(own, Configuration):
            text = replicates_of(own).text
        else:
            text = identity.canonical_json(own.plain())
            rest["own"] = own.declared() if isinstance(own, OwnConfiguration) else None
        return f'{{"configuration":{text},{identity.canonical_json(rest)[1:]}'

    @staticmethod
    def from_json(text: str) -> "Trial":
        """Builds the trial that `to_json` described, without importing its trainable."""
        # Nothing after this key has such a key again, and in a text its quotes would be escaped:
        # so a configuration's text is cut out, and parsed once for all its seeds.
        before, key, after = text.rpartition(',"data_fingerprint":')
        plain = before.removeprefix('{"configuration":')
        content = json.loads(f"{{{key[1:]}{after}")
        own = content.pop("own", None)
        if own is None:
            return Trial(configuration=_configuration(plain), **content)
        data = content["data_fingerprint"]
        configuration = OwnConfiguration.from_plain(json.loads(plain), own, data_fingerprint=data)
        return Trial(configuration=configuration, **content)

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


def with_effect(configuration: Settings) -> dict[str, Any]:
    """Returns the fields that a result depends on, given the values of the others."""
    if isinstance(configuration, OwnConfiguration):
        return configuration.with_effect()
    return identity.effective(configuration.fields())


def acting_values(values: Condition, configuration: Settings) -> Condition:
    """Returns those of some values that a training reads.

    Args:
        values: By field.
        configuration: What all the other fields are taken from.
    """
    if not isinstance(configuration, Configuration):
        return values  # nobody knows which of its fields are read
    idle = identity.idle_fields({**configuration.fields(), **values})
    return {field: value for field, value in values.items() if field not in idle}


def condition_label(condition: Condition) -> str:
    """Returns a condition as people read it: ``num_embeddings=4096, max_step=980``."""
    parts = (f"{field.rpartition('.')[2]}={value}" for field, value in condition.items())
    return ", ".join(parts) or TEACHER
