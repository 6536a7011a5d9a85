"""The study that samplers learn from: made anew for each question, at little cost, in silence."""

from simulated_search import SimulatedSearch, space_of

from qdexp.backends.optuna_suggester.study import StudyOfHistory
from qdexp.experiment.search_spec import Objective


def test_study_shares_what_its_trials_consist_of() -> None:
    baseline = {"x": 0.5}
    space = space_of({"x": {"low": 0.0, "high": 1.0}}, baseline)
    search = SimulatedSearch(
        space=space, baseline=baseline, values=lambda values: (values["x"],), sampler="random"
    )
    history = search.run(3).history
    studies = StudyOfHistory(space, [Objective(metric="f", direction="lower")], None)
    first, second, third = studies.study(history).get_trials(deepcopy=False)
    assert first.distributions["x"] is second.distributions["x"], "nothing is copied"
    assert [each.number for each in (first, second, third)] == [0, 1, 2]
    assert [each.values for each in (first, second, third)] == [[v] for (v,) in search.found]
    assert third.params == history[2].suggestion.values


def test_grouped_parameters_of_several_objectives_are_suggested_without_a_warning() -> None:
    baseline = {"x": 0.5}
    search = SimulatedSearch(
        space=space_of({"x": {"low": 0.0, "high": 1.0}}, baseline),
        baseline=baseline,
        values=lambda values: (values["x"], -values["x"]),
        sampler="tpe",
        options={"group": True, "n_startup_trials": 2},
        directions=("lower", "lower"),
    )
    assert len(search.run(4).suggested) == 4, "a warning would be an error here"
