"""What figures are drawn from: the Pareto front, the codes' shares, and which conditions."""

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image
from qdexp_analysis import write_report, written
from qdexp_analysis.appearance import MOST_LETTERS, shortened
from qdexp_analysis.arrays import ranks, shares_at_ranks
from qdexp_analysis.code_use import code_shares, codes_by_bucket
from qdexp_analysis.figure_words import front_text
from qdexp_analysis.figures_factors import interaction
from qdexp_analysis.findings import find
from qdexp_analysis.gallery import pictures
from qdexp_analysis.remembered import once
from qdexp_analysis.shown import MOST_LINES, telling
from qdexp_analysis.table import load
from qdexp_analysis.trade_off import pareto_front

NAME = "codebook_size"
Make = Callable[[Any], Path]


def test_front_has_what_nothing_beats() -> None:
    cost = np.array([1.0, 2.0, 3.0, 3.0, np.nan, 0.5])
    loss = np.array([5.0, 4.0, 4.5, 4.0, 1.0, np.nan])
    assert pareto_front(cost, loss, "lower").tolist() == [True, True, False, False, False, False]
    assert (
        pareto_front(cost, -loss, "higher").tolist() == pareto_front(cost, loss, "lower").tolist()
    )
    assert not pareto_front(cost, loss, "neither").any()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_front_is_what_its_definition_says(points: list[tuple[int, int]]) -> None:
    cost, loss = np.array(points, dtype=float).T
    front = pareto_front(cost, loss, "lower")
    for (x, y), is_on_front in zip(points, front, strict=True):
        beaten = any((a <= x and b <= y) and (a, b) != (x, y) for a, b in points)
        assert is_on_front == (not beaten)


def test_front_is_said_with_cost_and_quality(make_ledger: Make, made: type[Any]) -> None:
    findings = find(load(NAME, make_ledger(made(effects={(4096,): 0.05, (16384,): 0.02}))))
    assert findings.trade_off is not None
    assert findings.trade_off.is_on_front.tolist() == [True, True, False]
    text = front_text(findings)
    assert text.startswith("On the Pareto front of quality against cost, from the cheapest: 4096 (")
    assert "; 8192 (" in text
    assert "16384" not in text


def test_no_front_is_drawn_where_conditions_are_not_ranked(
    make_ledger: Make, made: type[Any]
) -> None:
    factors = {"diffusion.min_step": (20, 100)}
    runs = make_ledger(made(primary="train.loss", factors=factors, baseline=(20,)))
    findings = find(load(NAME, runs))
    assert findings.trade_off is None
    assert front_text(findings) == ""
    assert "cost" not in {picture.name for picture in pictures(findings)}


@pytest.mark.parametrize("size", [1, 7, 4096, 262_144])
def test_shares_are_those_of_the_sorted_counts(size: int) -> None:
    counts = np.random.default_rng(size).integers(0, 50, size).astype(float)
    shares = shares_at_ranks(counts)
    assert len(shares) == len(ranks()) <= 96
    expected = np.sort(counts)[::-1] / max(counts.sum(), 1)
    for rank, share in zip(ranks(), shares, strict=True):
        assert share == (expected[rank - 1] if rank <= size else 0)


def test_codes_that_nobody_counted_are_not_drawn(make_ledger: Make, made: type[Any]) -> None:
    experiment = load(NAME, make_ledger(made(num_clips=0)))
    assert code_shares(experiment) is None
    assert codes_by_bucket(experiment) is None


def test_buckets_stand_at_the_mean_of_their_levels(make_ledger: Make, made: type[Any]) -> None:
    found = codes_by_bucket(load(NAME, make_ledger(made())))
    assert found is not None
    levels = np.linspace(-4, 5, 16)  # dealt to three buckets as 6, 5, 5
    expected = [levels[:6].mean(), levels[6:11].mean(), levels[11:].mean()]
    assert found.log_snr == pytest.approx(expected)
    assert found.perplexity[0, 0].tolist() == [900, 700, 500]


def test_of_many_conditions_the_telling_ones_are_shown(make_ledger: Make, made: type[Any]) -> None:
    levels = tuple(4096 + 64 * k for k in range(16))
    effects = {(level,): 0.02 for level in levels[3:6]}
    many = made(factors={"model.num_embeddings": levels}, baseline=(4096,), effects=effects)
    findings = find(load(NAME, make_ledger(many)))
    shown = telling(findings, MOST_LINES)
    assert len(shown) == MOST_LINES
    assert {0, 3, 4, 5} <= set(shown)
    drawn = {picture.name: picture for picture in pictures(findings)}
    assert "Shown are 10 of 16 conditions" in drawn["trials"].caption
    assert "Shown are" not in drawn["forest"].caption
    assert "; and 3 more." in drawn["forest"].text


def test_figures_lie_beside_the_report_and_old_ones_go(make_ledger: Make, made: type[Any]) -> None:
    runs = make_ledger(made())
    files = write_report(NAME, runs)
    folder = files.html.parent / "figures"
    assert sorted(folder.iterdir()) == sorted(files.figures)
    assert len(files.figures) == 2 * 10
    for path in files.figures:
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert image.size[0] > 800
        else:
            text = path.read_text(encoding="utf-8")
            assert "<title>" in text
            assert "var(--" not in text
            assert "<text" not in text  # letters are drawn: no program lacks the font
    first = {path.name: path.read_bytes() for path in files.figures}
    (folder / "old.svg").write_text("<svg/>")
    again = write_report(NAME, runs)
    assert {path.name: path.read_bytes() for path in again.figures} == first
    assert not (folder / "old.svg").exists()
    assert written.current(NAME, runs) == again
    (folder / "forest.png").unlink()
    assert written.current(NAME, runs) is None


@given(st.text(max_size=80))
def test_labels_keep_both_ends(label: str) -> None:
    short = shortened(label)
    assert len(short) <= MOST_LETTERS
    assert short == label or label.startswith(short.partition("…")[0])
    assert short[-5:] == label[-5:]


@pytest.mark.parametrize(("size", "num_texts"), [((15, 10), 150), ((16, 10), 0)])
def test_cells_of_a_map_have_numbers_where_there_is_room(
    size: tuple[int, int], num_texts: int
) -> None:
    axes = Figure().subplots()
    names = ([str(k) for k in range(size[0])], [str(k) for k in range(size[1])])
    interaction(axes, np.ones(size), names, is_lower_better=True, most=2.0)
    assert len(axes.texts) == num_texts
    drawn = [*axes.patches, *(path for each in axes.collections for path in each.get_paths())]
    assert len(drawn) == size[0] * size[1]


def test_figures_are_drawn_once_for_each_file(
    make_ledger: Make, made: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (*_, picture) = pictures(find(load(NAME, make_ledger(made()))))
    drawn: list[object] = []
    draw = Figure.draw
    monkeypatch.setattr(Figure, "draw", lambda *given: (drawn.append(given), draw(*given))[1])
    picture.inline()
    assert set(picture.files()) == {f"{picture.name}.svg", f"{picture.name}.png"}
    assert len(drawn) == 3


def test_what_is_made_of_an_experiment_is_made_once_and_kept_no_longer_than_that(
    make_ledger: Make, made: type[Any]
) -> None:
    asked: list[str] = []
    name_of = once(lambda experiment: asked.append(experiment.name) or experiment.name)
    one, other = (load(NAME, make_ledger(made())) for _ in range(2))
    assert [name_of(each) for each in (one, one, other)] == [NAME] * 3
    assert len(asked) == 2
    gone = weakref.ref(one)
    del one
    gc.collect()
    assert gone() is None
