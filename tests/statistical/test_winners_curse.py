"""On pure noise a search's best looks better than its baseline; its confirmation says otherwise."""

import numpy as np
from measures import Figure, share
from qdexp_analysis.contrasts import Contrast, Margin, judge
from qdexp_analysis.scores import Scores

from qdexp.results.best import best_of
from qdexp.results.suggestions import Suggestion, SuggestionRecord, Told

NUM_SUGGESTIONS = 30
TOP = 3
SEEDS = 5
NUMBER = 2000
BASE, NOISE = 100.0, 1.0
MARGIN = Margin(value=0.05, is_relative=True)
"""Five times the noise of a trial: five seeds can tell that two conditions differ by less."""


def searched(draw: np.random.Generator) -> tuple[list[SuggestionRecord], float]:
    """Returns the best of a search in which nothing does anything, and the baseline's value."""
    values = BASE + NOISE * draw.normal(size=NUM_SUGGESTIONS + 1)
    records = [
        SuggestionRecord(
            suggestion=Suggestion(number=number, values={}, origin="sampler", attributes={}),
            suggested_at=0.0,
            trial_ids=(str(number),),
            told=Told(ending="complete", values=(float(value),)),
            rungs={},
        )
        for number, value in enumerate(values)
    ]
    return best_of(records, ["lower"], TOP), float(values[0])


def confirmed(draw: np.random.Generator, best: list[SuggestionRecord]) -> tuple[Contrast, ...]:
    """Returns what the function that writes a report's verdicts says of them on fresh seeds."""
    shape = (1 + len(best), SEEDS, 1)
    values = BASE + 3 * draw.normal(size=(1, SEEDS, 1)) + NOISE * draw.normal(size=shape)
    scores = Scores(values=values, diverged=np.zeros(shape[:2], dtype=bool), direction="lower")
    return judge(scores, 0, MARGIN)


def test_a_search_of_nothing_finds_something_and_its_confirmation_does_not() -> None:
    draw = np.random.default_rng(7)
    looked_better: list[bool] = []
    gains: list[float] = []
    verdicts: list[list[str]] = []
    for _ in range(NUMBER):
        best, baseline = searched(draw)
        assert best[0].told is not None
        gains.append(baseline - best[0].told.values[0])
        looked_better.append(gains[-1] > 0)
        verdicts.append([each.verdict for each in confirmed(draw, best)])
    # The baseline is the best of 31 alike in one search of 31.
    assert share(looked_better).is_within(30 / 31, 30 / 31)
    assert np.mean(gains) > 1.5 * NOISE, "nothing looks like a gain of two standard deviations"
    false_better: Figure = share("better" in each for each in verdicts)
    assert false_better.is_within(0.0, 0.05), false_better
    honest = share({"undecided", "equivalent"}.issuperset(each) for each in verdicts)
    assert honest.is_within(0.95, 1.0), honest
    equivalent = share("equivalent" in each for each in verdicts)
    assert equivalent.value > 0.5, "it also finds out that there is nothing"
