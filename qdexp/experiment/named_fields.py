"""The fields that a spec may name: those of qdexp's configuration, or of a user's own class."""

from typing import TYPE_CHECKING, Literal, Protocol, get_args, get_origin

from qdexp.config.configuration import (
    Configuration,
    Value,
    check_value,
    field_names,
    split_field,
)
from qdexp.config.presets import preset
from qdexp.experiment.annotations import KINDS
from qdexp.experiment.identity import WITHOUT_EFFECT

if TYPE_CHECKING:
    from qdexp.config.section import Section


class Fields(Protocol):
    """The fields of one kind of configuration."""

    @property
    def what(self) -> str:
        """What messages call one of them."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """The dotted name of every field."""
        ...

    @property
    def without_effect(self) -> frozenset[str]:
        """The fields that change no result."""
        ...

    @property
    def required(self) -> frozenset[str]:
        """The fields without a default."""
        ...

    def checked(self, field: str, value: Value) -> Value:
        """Returns a value as the field holds it, checked against its type and range alone.

        Raises:
            ConfigurationError: The field is unknown or the value is not allowed.
        """
        ...

    def kind(self, field: str) -> str:
        """Returns what a value of the field is: a number, text, truth value, list, or several."""
        ...

    def choices(self, field: str) -> tuple[str, ...]:
        """Returns the texts that a field may have, where it has named choices."""
        ...


class OurFields:
    """The fields of `Configuration`."""

    what = "a configuration field"

    @property
    def names(self) -> tuple[str, ...]:
        """The dotted name of every field."""
        return field_names()

    @property
    def without_effect(self) -> frozenset[str]:
        """The fields that change no result."""
        return WITHOUT_EFFECT

    @property
    def required(self) -> frozenset[str]:
        """None: a preset has a value for every field."""
        return frozenset()

    def checked(self, field: str, value: Value) -> Value:
        """Returns a value as the field holds it, checked against its type and range alone.

        Raises:
            ConfigurationError: The field is unknown or the value is not allowed.
        """
        return check_value(field, value)

    def kind(self, field: str) -> str:
        """Returns what a value of the field is."""
        value: object = preset("tiny").fields()[field]
        return KINDS.get(type(value), "list")

    def choices(self, field: str) -> tuple[str, ...]:
        """Returns the texts that a field may have, where it has named choices."""
        section, name = split_field(field)
        config: Section = getattr(Configuration(), section)
        annotation = type(config).model_fields[name].annotation
        return get_args(annotation) if get_origin(annotation) is Literal else ()


OURS = OurFields()
