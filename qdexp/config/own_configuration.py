"""The configuration of a user's own training as plain data: it reads without the user's module."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Changed = Callable[[Mapping[str, Any]], "OwnConfiguration"]


def _cannot_change(_changes: Mapping[str, Any]) -> "OwnConfiguration":
    raise TypeError("a configuration from a ledger is changed by its spec only")


@dataclass(frozen=True, kw_only=True)
class OwnConfiguration:
    """The fields of a user's own class.

    Args:
        values: Every field under its dotted name, as plain JSON values.
        revision: What the user raises whenever the same fields and seed give other numbers.
        num_steps: Steps of the whole training; 0 where it is not known before it runs.
        data_fingerprint: Hash of the inputs that the data are made of, as the user computes it.
        without_effect: Fields that change no result, and so no identity.
        changed: Makes the configuration with other dotted fields; known only to who read a spec.
    """

    values: Mapping[str, Any]
    revision: int
    num_steps: int
    data_fingerprint: str
    without_effect: tuple[str, ...] = ()
    changed: Changed = field(default=_cannot_change, compare=False, repr=False)

    def __hash__(self) -> int:
        return hash(json.dumps(self.values, sort_keys=True))

    def declared(self) -> dict[str, Any]:
        """Returns what is known of it beside its fields, as plain JSON values."""
        return {
            "revision": self.revision,
            "num_steps": self.num_steps,
            "without_effect": list(self.without_effect),
        }

    @staticmethod
    def from_plain(
        plain: Mapping[str, Any], declared: Mapping[str, Any], *, data_fingerprint: str
    ) -> "OwnConfiguration":
        """Builds what `plain` and `declared` described."""
        return OwnConfiguration(
            values=dict(plain),
            revision=declared["revision"],
            num_steps=declared["num_steps"],
            data_fingerprint=data_fingerprint,
            without_effect=tuple(declared["without_effect"]),
        )

    def fields(self) -> dict[str, Any]:
        """Returns every field under its dotted name, as plain JSON values."""
        return dict(self.values)

    def with_effect(self) -> dict[str, Any]:
        """Returns the fields that a result depends on."""
        return {
            name: value for name, value in self.values.items() if name not in self.without_effect
        }

    def plain(self) -> dict[str, Any]:
        """Returns the same: it is plain already."""
        return dict(self.values)

    def replace(self, changes: Mapping[str, Any]) -> "OwnConfiguration":
        """Returns a configuration with the dotted fields in `changes` set, validated as a whole.

        Raises:
            ConfigurationError: A field is unknown or a value is not allowed.
        """
        return self.changed(changes)
