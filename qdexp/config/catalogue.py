"""The metrics that a spec may name: those of qdexp's training, or those that a user declares."""

from collections.abc import Sequence
from typing import Protocol

from qdexp.config import metrics
from qdexp.config.configuration import Configuration
from qdexp.config.metric import Metric
from qdexp.config.settings import Settings
from qdexp.errors import ConfigurationError, nearest


class Catalogue(Protocol):
    """The metrics of one kind of training."""

    @property
    def primary(self) -> str | None:
        """The metric that is judged unless a spec says which, or None if it has to."""
        ...

    @property
    def expected(self) -> str:
        """What messages call one of them."""
        ...

    def metric(self, name: str) -> Metric:
        """Returns the declaration of a metric.

        Raises:
            ConfigurationError: There is no such metric; the message names the nearest.
        """
        ...

    def resolve(self, name: str, configuration: Settings) -> str:
        """Returns the name under which a configuration measures a metric.

        Raises:
            ConfigurationError: It does not measure it; the message says what to set.
        """
        ...

    def check_measured(self, name: str, configuration: Settings) -> None:
        """Accepts a metric of which a configuration has all that it takes.

        Raises:
            ConfigurationError: Something is missing; the message says how to get it.
        """
        ...


class OurMetrics:
    """The metrics of qdexp's own training."""

    primary = "eval.denoising_loss"
    expected = "a metric"

    def metric(self, name: str) -> Metric:
        """Returns the declaration of a metric.

        Raises:
            ConfigurationError: There is no such metric; the message names the nearest.
        """
        return metrics.metric(name)

    def resolve(self, name: str, configuration: Settings) -> str:
        """Returns the name under which a configuration measures a metric.

        Raises:
            ConfigurationError: It does not measure it; the message says what to set.
        """
        assert isinstance(configuration, Configuration)
        return metrics.resolve(name, configuration)

    def check_measured(self, name: str, configuration: Settings) -> None:
        """Accepts a metric of which a configuration has all that it takes.

        Raises:
            ConfigurationError: Weights are missing; the message says how to get them.
        """
        assert isinstance(configuration, Configuration)
        metrics.check_measured(name, configuration)


class OwnMetrics:
    """The metrics that a user's own trainable declares: every configuration measures all."""

    primary = None

    def __init__(self, declared: Sequence[Metric]) -> None:
        self._declared = {metric.name: metric for metric in declared}

    @property
    def expected(self) -> str:
        """What messages call one of them."""
        return f"a metric that the trainable declares ({', '.join(self._declared) or 'none'})"

    def metric(self, name: str) -> Metric:
        """Returns the declaration of a metric.

        Raises:
            ConfigurationError: None is declared under this name.
        """
        if name not in self._declared:
            hint = nearest(name, self._declared)
            raise ConfigurationError(f"expected {self.expected}, found '{name}'{hint}")
        return self._declared[name]

    def resolve(self, name: str, configuration: Settings) -> str:
        """Returns the name itself.

        Raises:
            ConfigurationError: None is declared under this name.
        """
        del configuration
        return self.metric(name).name

    def check_measured(self, name: str, configuration: Settings) -> None:
        """Accepts: what is declared is measured."""


OUR_METRICS = OurMetrics()
