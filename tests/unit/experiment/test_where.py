"""`where` holds what its grammar says, and reaches nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdexp.config.presets import preset
from qdexp.experiment.where import WhereError, parse_where

FIELDS = preset("tiny").fields()


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("diffusion.min_step < diffusion.max_step", True),
        ("diffusion.min_step >= 21", False),
        ("1 <= diffusion.min_step <= 20 < diffusion.max_step", True),
        ("not diffusion.min_step == 20", False),
        ("diffusion.min_step == 1 or diffusion.max_step == 980", True),
        ("diffusion.min_step == 1 and diffusion.max_step == 980", False),
        ("(diffusion.min_step == 1 or diffusion.max_step == 980) and 2 > 1", True),
        ("diffusion.min_step == 20 or 1 == 1 and 1 == 2", True),
        ("diffusion.beta_schedule == 'linear'", True),
        ('diffusion.beta_schedule != "cosine"', True),
        ("training.learning_rate < 1e-1", True),
    ],
)
def test_expression_holds(text: str, holds: bool) -> None:  # noqa: FBT001
    assert parse_where(text)(FIELDS) is holds


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("", 0),
        ("model", 0),
        ("model.dropout", 13),
        ("model.dropout <", 15),
        ("model.dropout < 1 model.dropout", 18),
        ("(model.dropout < 1", 18),
        ("model.dropout < 1)", 17),
        ("model.dropout = 1", 14),
        ("model.__class__ == 1", 0),
        ("[1 for x in y]", 0),
        ("lambda: 1", 6),
        ("diffusion.beta_schedule < 'linear'", 24),
        ("diffusion.beta_schedule == 'lineer'", 27),
        ("'lineer' != diffusion.beta_schedule", 0),
    ],
)
def test_anything_else_is_refused_at_its_character(text: str, offset: int) -> None:
    with pytest.raises(WhereError) as caught:
        parse_where(text)
    assert caught.value.offset == offset


@given(st.text(max_size=40))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    offset = 0
    try:
        assert parse_where(text)(FIELDS) in (True, False)
    except WhereError as error:
        offset = error.offset
    assert 0 <= offset <= len(text)


def test_nesting_within_the_limit_is_read() -> None:
    assert parse_where("(" * 49 + "1 < 2" + ")" * 49 + " and " + "not " * 48 + "1 < 2")(FIELDS)


def test_comparison_with_a_length_that_epochs_decide_does_not_hold() -> None:
    medium = preset("medium").fields()
    assert medium["training.max_steps"] is None
    assert not parse_where("training.max_steps < 1000")(medium)
