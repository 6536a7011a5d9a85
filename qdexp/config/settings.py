"""What every configuration can do, qdexp's own and a user's: all that orchestration asks of one."""

from collections.abc import Mapping
from typing import Any, Protocol, Self


class Settings(Protocol):
    """The complete configuration of one training run."""

    @property
    def num_steps(self) -> int:
        """Steps of the whole training; 0 where it is not known before it runs."""
        ...

    def fields(self) -> dict[str, Any]:
        """Returns every field under its dotted name, as plain JSON values."""
        ...

    def plain(self) -> dict[str, Any]:
        """Returns the whole as plain JSON values, as it is stored and shown."""
        ...

    def replace(self, changes: Mapping[str, Any]) -> Self:
        """Returns a configuration with the dotted fields in `changes` set, validated as a whole.

        Raises:
            ConfigurationError: A field is unknown or a value is not allowed.
        """
        ...
