"""A user's own class: what its fields may be, and what is refused, by name."""

import itertools
import math
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pydantic
import pytest

from qdexp.config.metric import Metric
from qdexp.errors import ConfigurationError
from qdexp.experiment.declaration import Declaration
from qdexp.experiment.own_fields import OwnFields
from tests.contract.own_trainables import OddConfig

ERROR = Metric(name="error", direction="lower")


def fields_of(model: type[Any], **declared: object) -> OwnFields:
    told: Any = declared
    return Declaration(configuration=model, metrics=(ERROR,), revision=1, **told).fields()


def test_fields_are_named_by_the_models_they_are_in() -> None:
    names = fields_of(OddConfig).names
    assert names[:3] == ("steps", "rate", "größe")
    assert names[-3:] == ("tree.depth", "tree.leaves", "workers")


def test_configuration_is_plain_and_keeps_the_defaults_of_a_model_in_a_field() -> None:
    built = fields_of(OddConfig).start().replace({"tree.leaves": [5], "kernel": "linear"})
    assert built.fields() == {
        "steps": 4, "rate": 0.5, "größe": 1.0, "is_deep": False, "kernel": "linear",
        "features": "sqrt", "order": "up", "shape": [1, 2], "tree.depth": 7, "tree.leaves": [5],
        "workers": 1,
    }  # fmt: skip
    assert built.replace({"steps": 9}).fields()["tree.leaves"] == [5]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("step", 3, "expected a field of OddConfig, found 'step'; did you mean 'steps'?"),
        ("depth", 3, "found 'depth'; did you mean 'tree.depth'?"),
        ("steps", "3", "steps: expected a valid integer, found '3'"),
        ("steps", 3.0, "steps: expected a valid integer"),
        ("steps", True, "steps: expected a valid integer, found True"),
        ("steps", 101, "steps: expected less than or equal to 100, found 101"),
        ("rate", 0, "rate: expected greater than 0, found 0"),
        ("rate", math.nan, "rate: expected a finite number, found nan: let None stand for it"),
        ("rate", math.inf, "rate: expected a finite number, found inf"),
        ("is_deep", 1, "is_deep: expected a valid boolean, found 1"),
        ("kernel", "flat", "kernel: expected 'linear' or 'round', found 'flat'"),
        ("order", "left", "order: expected 'up' or 'down', found 'left'"),
        ("shape", [1, "2"], "valid integer, found '2'"),
        ("tree.depth", 0, "tree.depth: expected greater than or equal to 1, found 0"),
    ],
)
def test_value_is_checked_strictly_and_alone(field: str, value: object, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        fields_of(OddConfig).checked(field, value)
    assert message in str(error.value)


def test_what_the_class_says_of_all_fields_together_is_heard() -> None:
    with pytest.raises(ConfigurationError, match=r"tree\.depth: expected at least 2 where is_deep"):
        fields_of(OddConfig).start().replace({"is_deep": True, "tree.depth": 1})


class WithNan(pydantic.BaseModel):
    rate: float = math.nan


class WithInfinity(pydantic.BaseModel):
    limits: list[float] = [0.0, math.inf]


class WithSet(pydantic.BaseModel):
    names: set[str] = {"a", "b"}


class WithBytes(pydantic.BaseModel):
    key: bytes = b"1"


class WithSecret(pydantic.BaseModel):
    key: pydantic.SecretStr = pydantic.SecretStr("1")


class WithExcluded(pydantic.BaseModel):
    rate: int = pydantic.Field(default=1, exclude=True)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (WithNan, "rate: expected a finite number, found nan"),
        (WithInfinity, "limits[1]: expected a finite number, found inf"),
        (WithSet, "names: expected a list or a tuple, found a set"),
        (WithBytes, "key: expected text, found bytes"),
        (WithSecret, "expected values of WithSecret that JSON keeps"),
        (WithExcluded, "rate: expected a field that WithExcluded writes as JSON"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_value_that_json_loses_is_refused(model: type[Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        fields_of(model).start().replace({})
    assert message in str(error.value)


class WithDates(pydantic.BaseModel):
    day: date = date(2026, 1, 2)
    path: Path = Path("a") / "b"
    table: dict[str, int] = {"a": 1}


def test_what_json_keeps_comes_back() -> None:
    fields = fields_of(WithDates)
    assert fields.start().replace({"day": "2026-03-04"}).fields() == {
        "day": "2026-03-04",
        "path": "a/b",
        "table": {"a": 1},
    }


class Deriving(pydantic.BaseModel):
    """Derives a default from another field."""

    trees: int = 10
    depth: int | None = None

    @pydantic.model_validator(mode="after")
    def _derive(self) -> "Deriving":
        if self.depth is None:
            self.depth = self.trees // 2
        return self


def test_what_a_class_derives_is_derived_anew() -> None:
    base = fields_of(Deriving).start().replace({})
    assert base.fields() == {"trees": 10, "depth": 5}
    assert base.replace({"trees": 20}).fields() == {"trees": 20, "depth": 10}


class Clamping(pydantic.BaseModel):
    trees: int = 10

    @pydantic.field_validator("trees")
    @classmethod
    def _clamp(cls, trees: int) -> int:
        return min(trees, 50)


def test_class_that_changes_what_it_is_given_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"trees: expected Clamping to keep .* 60 changed"):
        fields_of(Clamping).start().replace({"trees": 60})


counter = itertools.count()


class Restless(pydantic.BaseModel):
    number: int = pydantic.Field(default_factory=lambda: next(counter))


class Aliased(pydantic.BaseModel):
    rate: int = pydantic.Field(default=1, alias="Rate")


class Leaning(pydantic.BaseModel):
    one: int = 1
    two: int = pydantic.Field(default_factory=lambda data: data["one"] + 1)


class Root(pydantic.RootModel[int]):
    pass


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Restless, "Restless.number: expected the same default each time"),
        (Aliased, "Aliased.rate: expected a field without an alias"),
        (Leaning, "Leaning.two: expected a default that depends on no other field"),
        (Root, "expected a pydantic class"),
        (dict, "expected a pydantic class"),
        (None, "expected a pydantic class"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_class_that_cannot_be_declared_is_refused(model: type[Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        fields_of(model)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"revision": 0}, "revision: expected a whole number from 1, found 0"),
        ({"revision": True}, "revision: expected a whole number from 1, found True"),
        ({"without_effect": ("step",)}, "expected fields of OddConfig, found 'step'; did you mean"),
        ({"metrics": (ERROR, ERROR)}, "expected different names, found 'error' twice"),
        ({"metrics": ("error",)}, "expected a qdexp.Metric, found 'error'"),
        ({"metrics": (Metric(name=" ", direction="lower"),)}, "expected a printable name"),
        (
            {"metrics": (Metric(name="e", direction="down"),)},  # pyright: ignore
            "'e': expected a direction (lower, higher, neither), found 'down'",
        ),
        (
            {"metrics": (Metric(name="e", direction="lower", defined_by=("stepz",)),)},
            "expected defined_by to name fields of the configuration, found 'stepz'; did you mean",
        ),
    ],
)
def test_declaration_is_valid_from_birth(changes: dict[str, Any], message: str) -> None:
    sound: dict[str, Any] = {"configuration": OddConfig, "metrics": (ERROR,), "revision": 1}
    with pytest.raises(ConfigurationError) as error:
        Declaration(**{**sound, **changes})
    assert message in str(error.value)


def test_metric_may_be_defined_by_a_whole_model() -> None:
    metric = Metric(name="e", direction="lower", defined_by=("tree.*",))
    Declaration(configuration=OddConfig, metrics=(metric,), revision=1)
    assert metric.is_defined_by("tree.depth")


def returns_a_number(_config: OddConfig) -> int:
    return 3


def fails(_config: OddConfig) -> str:
    raise FileNotFoundError("points.csv")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (returns_a_number, "expected returns_a_number(OddConfig) to return str, found 3"),
        (fails, "expected fails(OddConfig) to return str, found FileNotFoundError: points.csv"),
    ],
)
def test_function_of_the_user_that_fails_is_named(
    function: Callable[[OddConfig], str], message: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        fields_of(OddConfig, fingerprint=function).start().replace({})
    assert message in str(error.value)


class Kinds(pydantic.BaseModel):
    a: int | None = None
    b: float = 1.0
    c: bool | None = None
    d: Literal["x", "y"] | None = None
    e: Literal["x"] | int = 1
    f: list[int] | None = None


def test_kinds_come_from_the_annotation_not_from_a_default() -> None:
    fields = fields_of(Kinds)
    kinds = [fields.kind(name) for name in fields.names]
    several = "value of several kinds"
    assert kinds == ["number", "number", "truth value", "text", several, "list"]
    assert [fields.choices(name) for name in "de"] == [("x", "y"), ()]
