"""What all seeds of one configuration share, computed once: most of planning is that.

It is remembered by the configuration object itself, which is frozen. Equal ones would not do:
1, 1.0 and True are equal, and are written differently into an identity.
"""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Generic, TypeVar

from qdexp.config.settings import Settings
from qdexp.experiment import identity
from qdexp.experiment.teacher import teacher_configuration

if TYPE_CHECKING:
    from qdexp.config.configuration import Configuration

MOST = 2048
"""Configurations remembered, the last used ones: each takes a few kilobytes."""


C = TypeVar("C", bound=Settings)


class Same(Generic[C]):
    """A key of a cache that is equal for one and the same object only."""

    __slots__ = ("configuration",)

    def __init__(self, configuration: C) -> None:
        self.configuration = configuration

    def __hash__(self) -> int:
        return id(self.configuration)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.configuration is other.configuration  # pyright: ignore[reportUnknownMemberType]


@dataclass(frozen=True, kw_only=True)
class Replicates:
    """What a configuration gives to each of its trials, whatever their seeds and data."""

    configuration: "Configuration" = field(repr=False)

    @cached_property
    def trial_beginning(self) -> identity.Beginning:
        """The hash of a trial's content, up to where seeds differ."""
        return identity.beginning(identity.effective(self.configuration.fields()))

    @cached_property
    def trajectory_beginning(self) -> identity.Beginning:
        """The same for its trajectory."""
        return identity.beginning(identity.trajectory_fields(self.configuration.fields()))

    @cached_property
    def text(self) -> str:
        """The configuration as canonical JSON."""
        return identity.canonical_json(self.configuration.model_dump(mode="json"))

    @cached_property
    def teacher(self) -> "Configuration | None":
        """The configuration of the trial that it learns from, if it learns from one."""
        if self.configuration.training.objective != "dmd":
            return None
        return teacher_configuration(self.configuration)


def replicates_of(configuration: "Configuration") -> Replicates:
    """Returns what the trials of a configuration share."""
    return _replicates(Same(configuration))


@lru_cache(maxsize=MOST)
def _replicates(same: "Same[Configuration]") -> Replicates:
    return Replicates(configuration=same.configuration)
