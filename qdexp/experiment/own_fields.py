"""The fields of a user's own pydantic class under dotted names, and configurations made of them.

Values come and go as JSON, strictly: ``"8"`` is no number, and a text stands for an enumeration's
member. What JSON does not keep (a set's order, a secret, infinity) is refused with the field's
name, since a trial's identity is made of its fields.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, PydanticUserError, RootModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from qdexp.config.configuration import Value, problem_of
from qdexp.config.own_configuration import OwnConfiguration
from qdexp.errors import ConfigurationError, nearest
from qdexp.experiment.annotations import choices_of, kind_of
from qdexp.experiment.json_values import refuse_what_json_loses

T = TypeVar("T", int, str)

NO_DATA = "none"
"""The fingerprint of data that nobody computes one for."""


@dataclass(frozen=True, kw_only=True)
class _Leaf:
    """A field that holds no model itself, and the model that it is in."""

    info: FieldInfo
    model: type[BaseModel]


class OwnFields:
    """The fields of a user's own class.

    Args:
        model: The class.
        revision: As in `OwnConfiguration`.
        fingerprint: Hashes the inputs of a configuration's data, or None.
        num_steps: Returns the steps that a configuration takes, or None.
        without_effect: Fields that change no result.

    Raises:
        ConfigurationError: The class has a field that cannot be named, stored or reproduced.
    """

    def __init__(
        self,
        model: type[BaseModel],
        *,
        revision: int,
        fingerprint: Callable[[Any], str] | None,
        num_steps: Callable[[Any], int] | None,
        without_effect: tuple[str, ...],
    ) -> None:
        is_model = isinstance(model, type) and issubclass(model, BaseModel)  # pyright: ignore
        if not is_model or issubclass(model, RootModel):
            raise ConfigurationError(f"configuration: expected a pydantic class, found {model!r}")
        self._model = model
        self._revision = revision
        self._fingerprint = fingerprint
        self._num_steps = num_steps
        self._without_effect = without_effect
        self.what = f"a field of {model.__name__}"
        self._leaves = dict(_leaves(model, ()))
        self._adapters: dict[str, TypeAdapter[Any]] = {}
        for name, leaf in self._leaves.items():
            self._check_default(name, leaf.info)

    @property
    def names(self) -> tuple[str, ...]:
        """The dotted name of every field; those of a model in a field follow that field's name."""
        return tuple(self._leaves)

    @property
    def without_effect(self) -> frozenset[str]:
        """The fields that change no result."""
        return frozenset(self._without_effect)

    @property
    def required(self) -> frozenset[str]:
        """The fields without a default."""
        return frozenset(name for name, leaf in self._leaves.items() if leaf.info.is_required())

    def checked(self, field: str, value: Value) -> Value:
        """Returns a value as the field holds it, checked against its type and range alone.

        Raises:
            ConfigurationError: The field is unknown or the value is not allowed.
        """
        leaf = self._leaves.get(field)
        if leaf is None:
            raise ConfigurationError(self._unknown(field))
        refuse_what_json_loses(field, value)
        if field not in self._adapters:
            self._adapters[field] = _adapter(leaf)
        adapter = self._adapters[field]
        try:
            found = adapter.validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            problem = problem_of(error).lstrip(".: ")
            raise ConfigurationError(f"{field}: {problem}") from None
        return adapter.dump_python(found, mode="json")

    def kind(self, field: str) -> str:
        """Returns what a value of the field is."""
        return kind_of(self._leaves[field].info.annotation)

    def choices(self, field: str) -> tuple[str, ...]:
        """Returns the texts that a field may have, where it has named choices."""
        return choices_of(self._leaves[field].info.annotation)

    def start(self) -> OwnConfiguration:
        """Returns what a spec begins with: a configuration in which nothing is set yet."""
        return OwnConfiguration(
            values={}, revision=self._revision, num_steps=0, data_fingerprint="", changed=self.build
        )

    def build(self, values: Mapping[str, Value]) -> OwnConfiguration:
        """Returns the configuration with these fields and the defaults of the others.

        Raises:
            ConfigurationError: A field is unknown, missing or not allowed, or the user's functions
                fail on it.
        """
        for field in values:
            if field not in self._leaves:
                raise ConfigurationError(self._unknown(field))
        typed = self.typed(values)
        plain = self._plain(typed)
        self._check_kept(values, typed, plain)
        return OwnConfiguration(
            values=plain,
            revision=self._revision,
            num_steps=self._called(self._num_steps, typed, int, 0),
            data_fingerprint=self._called(self._fingerprint, typed, str, NO_DATA),
            without_effect=self._without_effect,
            # What the class derives from other fields is derived anew.
            changed=lambda changes: self.build({**values, **changes}),
        )

    def typed(self, values: Mapping[str, Value]) -> BaseModel:
        """Returns an instance of the user's class.

        Raises:
            ConfigurationError: The class refuses the values.
        """
        nested = _defaults_of_models(self._model)
        for field, value in values.items():
            *sections, name = field.split(".")
            inner = nested
            for section in sections:
                inner = inner.setdefault(section, {})
            inner[name] = value
        try:
            return self._model.model_validate_json(json.dumps(nested), strict=True)
        except ValidationError as error:
            raise ConfigurationError(problem_of(error)) from None

    def _plain(self, typed: BaseModel) -> dict[str, Value]:
        """Returns every field as JSON has it."""
        dumped = typed.model_dump(mode="json")
        plain: dict[str, Value] = {}
        for field in self._leaves:
            held: Any = typed
            value: Any = dumped
            for part in field.split("."):
                held = getattr(held, part)
                if not isinstance(value, dict) or part not in value:
                    raise ConfigurationError(
                        f"{field}: expected a field that {self._model.__name__} writes as JSON, "
                        "found one that it leaves out"
                    )
                value = value[part]  # pyright: ignore[reportUnknownVariableType]
            refuse_what_json_loses(field, held)
            plain[field] = value
        return plain

    def _check_kept(
        self, values: Mapping[str, Value], typed: BaseModel, plain: dict[str, Value]
    ) -> None:
        """Refuses a class that changes what it is given, or what was stored of it."""
        for field, value in values.items():
            if plain[field] != value:
                raise ConfigurationError(
                    f"{field}: expected {self._model.__name__} to keep what it is given, found "
                    f"{value!r} changed to {plain[field]!r}"
                )
        again = self.typed(plain)
        if again != typed or self._plain(again) != plain:
            raise ConfigurationError(
                f"expected values of {self._model.__name__} that JSON keeps, found that these "
                f"change when they are read again: {plain}"
            )

    def _called(
        self, function: Callable[[Any], T] | None, typed: BaseModel, kind: type[T], otherwise: T
    ) -> T:
        """Returns what a function of the user says of a configuration."""
        if function is None:
            return otherwise
        name = getattr(function, "__name__", "the function")
        expected = f"expected {name}({self._model.__name__}) to return {kind.__name__}"
        try:
            found = function(typed)
        except Exception as error:  # noqa: BLE001  it is the user's, and may do anything
            raise ConfigurationError(f"{expected}, found {type(error).__name__}: {error}") from None
        if type(found) is not kind:
            raise ConfigurationError(f"{expected}, found {found!r}")
        return found

    def _unknown(self, field: str) -> str:
        hint = nearest(field, self.names)
        return f"expected {self.what}, found '{field}'{hint}"

    def _check_default(self, name: str, info: FieldInfo) -> None:
        """Refuses names and defaults with which no trial could be found again."""
        what = f"{self._model.__name__}.{name}"
        if info.alias is not None or info.validation_alias is not None:
            raise ConfigurationError(f"{what}: expected a field without an alias")
        if info.default_factory is None:
            return
        if info.default_factory_takes_validated_data:
            raise ConfigurationError(
                f"{what}: expected a default that depends on no other field; set it in a "
                "model_validator, or give its value in the spec"
            )
        one, other = (info.get_default(call_default_factory=True) for _ in range(2))
        if one != other:
            raise ConfigurationError(
                f"{what}: expected the same default each time, found {one!r} and {other!r}"
            )


def _leaves(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[tuple[str, _Leaf]]:
    """Yields the fields that hold no model themselves.

    Raises:
        ConfigurationError: A model contains itself.
    """
    if len(path) > 8:
        raise ConfigurationError(
            f"{model.__name__}: expected at most 8 levels of models, found {'.'.join(path)}"
        )
    for name, info in model.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            if issubclass(inner, RootModel):
                raise ConfigurationError(f"{name}: expected no RootModel, found {inner.__name__}")
            yield from _leaves(inner, (*path, name))
        else:
            yield ".".join((*path, name)), _Leaf(info=info, model=model)


def _defaults_of_models(model: type[BaseModel]) -> dict[str, Any]:
    """Returns the fields that hold models, as JSON: what is set in one must keep its others."""
    defaults: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            if info.is_required():
                defaults[name] = _defaults_of_models(inner)
            else:
                value = info.get_default(call_default_factory=True)
                defaults[name] = value.model_dump(mode="json")
    return defaults


def _adapter(leaf: _Leaf) -> TypeAdapter[Any]:
    annotated: Any = Annotated[leaf.info.annotation, leaf.info]  # pyright: ignore
    try:
        return TypeAdapter(annotated, config=leaf.model.model_config)
    except PydanticUserError:  # of a type with a configuration of its own
        return TypeAdapter(annotated)
