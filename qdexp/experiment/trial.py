"""A trial: one configuration and one seed, which is what is run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from qdexp.config.configuration import Configuration
from qdexp.config.own_configuration import OwnConfiguration
from qdexp.config.revision import RESULTS_REVISION
from qdexp.config.settings import Settings
from qdexp.experiment import identity
from qdexp.experiment.teacher import teacher_configuration

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
        if isinstance(self.configuration, OwnConfiguration):
            return identity.own_trial_id(**self._content(), revision=self.revision)
        return identity.trial_id(**self._content())

    @cached_property
    def trajectory_id(self) -> str:
        """Equal for trials that differ only in length, sampling and evaluation."""
        if isinstance(self.configuration, OwnConfiguration):
            return self.trial_id  # nobody knows which of its fields say only how long to train
        return identity.trajectory_id(**self._content())

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
        own = self.configuration
        if not isinstance(own, Configuration) or own.training.objective != "dmd":
            return None
        return replace(self, configuration=teacher_configuration(own))

    def to_json(self) -> str:
        """Returns the text that crosses process boundaries."""
        content = {
            "configuration": self.configuration.plain(),
            "seed": self.seed,
            "data_fingerprint": self.data_fingerprint,
            "trainable": self.trainable,
        }
        if isinstance(self.configuration, OwnConfiguration):
            content["own"] = self.configuration.declared()
        return identity.canonical_json(content)

    @staticmethod
    def from_json(text: str) -> "Trial":
        """Builds the trial that `to_json` described, without importing its trainable."""
        content = json.loads(text)
        plain, own = content.pop("configuration"), content.pop("own", None)
        if own is None:
            return Trial(
                configuration=Configuration.model_validate_json(json.dumps(plain)), **content
            )
        data = content["data_fingerprint"]
        configuration = OwnConfiguration.from_plain(plain, own, data_fingerprint=data)
        return Trial(configuration=configuration, **content)

    def _content(self) -> dict[str, Any]:
        own = self.configuration
        is_own = isinstance(own, OwnConfiguration)
        return {
            "fields": own.with_effect() if is_own else own.fields(),
            "seed": self.seed,
            "data_fingerprint": self.data_fingerprint,
            "trainable": self.trainable,
        }


def with_effect(configuration: Settings) -> dict[str, Any]:
    """Returns the fields that a result depends on, given the values of the others."""
    if isinstance(configuration, OwnConfiguration):
        return configuration.with_effect()
    return identity.effective(configuration.fields())


def condition_label(condition: Condition) -> str:
    """Returns a condition as people read it: ``num_embeddings=4096, max_step=980``."""
    parts = (f"{field.rpartition('.')[2]}={value}" for field, value in condition.items())
    return ", ".join(parts) or TEACHER
