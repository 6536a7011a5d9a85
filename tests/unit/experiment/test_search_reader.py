"""A wrong spec of a search is refused at its line and column; a right one is what it says."""

import json
import os
from pathlib import Path

import pytest

from qdexp.errors import ConfigurationError, SpecError
from qdexp.experiment.reader import Overrides, parse_overrides, read_spec
from qdexp.experiment.search_reader import read_search
from qdexp.experiment.search_spec import Confirm, Objective, SearchBudget, SearchSpec

GOOD = """\
name: quantizers
question: Which quantizer is best?
preset: tiny
set: {training.max_steps: 100, model.num_embeddings: 512}
space:
  model.num_embeddings: {choices: [256, 512]}
  model.commitment_cost: {low: 0.05, high: 1.0, log: true}
  training.warmup_steps: {low: 10, high: 60, step: 5}
  model.dead_code_threshold: {low: 0, high: 1, step: 0.1, when: model.num_embeddings == 512}
where: training.warmup_steps < 55
sampler: {name: tpe, seed: 3, n_startup_trials: 8}
enqueue: [{model.num_embeddings: 256, training.warmup_steps: 10}]
seeds: 2
objectives: [eval.denoising_loss, cost.step_seconds]
metrics: {secondary: [eval.perplexity], smallest_effect: 1%}
budget: {trials: 20, hours: 0.5, gpu_hours: 2, trial: 10 min}
pruning: {kind: asha, metric: eval.curve_denoising_loss, steps: [50]}
confirm: {top: 3, seeds: 4}
workers: 2
resources: {cpus: 1}
"""
FACTORS = "factors: {model.num_layers: {levels: [1, 2], baseline: 1}}"

# ruff: noqa: E501
# What replaces what in GOOD, where the error stands, and what its message holds.
WRONG = {
    "no space": (GOOD[GOOD.index("space:"):GOOD.index("where:")], "", "1:1", "space: expected at least one field with its choices, or with low and high, found none"),
    "empty space": (GOOD[GOOD.index("space:"):GOOD.index("where:")], "space: {}\n", "5:8", "expected at least one field"),
    "unknown field": ("  model.commitment_cost", "  model.comitment_cost", "7:3", "found 'model.comitment_cost'; did you mean 'model.commitment_cost'?"),
    "unknown key of a parameter": ("log: true", "logarithmic: true", "7:49", "found 'logarithmic'"),
    "field without effect": ("  training.warmup_steps: {low: 10, high: 60, step: 5}", "  data.path: {choices: [a, b]}", "8:3", "changes no result"),
    "nothing but a name": ("{choices: [256, 512]}", "{}", "6:3", "expected choices, or low and high, found no low"),
    "no high": (", high: 60, step: 5", "", "8:3", "expected choices, or low and high, found no high"),
    "low above high": ("high: 60", "high: 5", "8:42", "training.warmup_steps: expected low below high, found 10 and 5"),
    "low equal to high": ("high: 60", "high: 10", "8:42", "expected low below high, found 10 and 10"),
    "log from 0": ("low: 0.05", "low: 0", "7:32", "expected low above 0 where log is true, found 0"),
    "log that is no truth value": ("log: true", "log: 10", "7:54", "expected log true or false, found 10"),
    "log with a step": ("log: true", "log: true, step: 0.1", "7:60", "expected either step or log, found both"),
    "bound outside of the field's range": ("high: 1, step: 0.1", "high: 2, step: 0.1", "9:45", "expected less than or equal to 1, found 2"),
    "bound of another type": ("low: 10", "low: ten", "8:32", "found 'ten'"),
    "bound of a text": ("  training.warmup_steps: {low: 10, high: 60, step: 5}", "  model.quantizer: {low: ema, high: fsq}", "8:26", "expected a number for low, found 'ema': give choices instead"),
    "step of 0": ("step: 5", "step: 0", "8:52", "expected a whole number above 0 and up to 50 for step, found 0"),
    "step of whole numbers that is none": ("step: 5", "step: 2.5", "8:52", "expected a whole number above 0"),
    "endlessly fine step": ("step: 0.1", "step: 1.0e-30", "9:54", "expected a step of 1e-06 or more, or none for values in between, found 1e-30"),
    "step beyond the range": ("step: 5", "step: 51", "8:52", "up to 50 for step, found 51"),
    "no choices": ("choices: [256, 512]", "choices: []", "6:35", "expected a list of two or more choices, found []"),
    "one choice": ("choices: [256, 512]", "choices: [256]", "6:35", "expected a list of two or more choices, found [256]"),
    "equal choices": ("choices: [256, 512]", "choices: [256, 512, 256]", "6:46", "expected different choices, found 256 twice"),
    "choice of another type": ("choices: [256, 512]", "choices: [256, many]", "6:41", "found 'many'"),
    "choices with bounds": ("choices: [256, 512]", "choices: [256, 512], low: 256", "6:47", "expected either choices or low and high, found both"),
    "when of an unknown field": ("when: model.num_embeddings == 512", "when: model.num_embedding == 512", "9:65", "did you mean 'model.num_embeddings'?"),
    "when of itself": ("when: model.num_embeddings == 512", "when: model.dead_code_threshold < 1", "9:65", "expected parameters before model.dead_code_threshold, or fields that are not searched, found itself"),
    "when of a later one": ("[256, 512]}", "[256, 512], when: training.warmup_steps > 20}", "6:53", "found training.warmup_steps, which comes later"),
    "when that never holds": ("when: model.num_embeddings == 512", "when: model.num_embeddings == 1024", "9:65", "expected it to act somewhere, found `model.num_embeddings == 1024` in none of the"),
    "when that is no text": ("when: model.num_embeddings == 512", "when: true", "9:65", "when: expected a comparison of fields, found True"),
    "where that leaves nothing": ("where: training.warmup_steps < 55", "where: training.warmup_steps > 60", "10:8", "expected it to leave a part of the space, found that it refuses all 10,000 configurations"),
    "where of an unknown field": ("where: training.warmup_steps", "where: training.warmup_step", "10:8", "did you mean 'training.warmup_steps'?"),
    "values that never go together": ("  training.warmup_steps: {low: 10, high: 60, step: 5}", "  model.num_heads: {choices: [3, 5]}", "5:1", "expected values that go together, found none among the 100 configurations drawn from it"),
    "unknown sampler": ("name: tpe", "name: tpee", "11:17", "expected one of tpe, gp, nsga2, quasi_random, random, grid, found 'tpee'; did you mean 'tpe'?"),
    "sampler that pickles": (GOOD[GOOD.index("sampler:"):GOOD.index("enqueue:")], "sampler: cmaes\n", "11:10", "found 'cmaes'"),
    "unknown option": ("n_startup_trials", "n_startup", "11:31", "found 'n_startup'; did you mean 'n_startup_trials'?"),
    "option of another sampler": ("n_startup_trials: 8", "population_size: 8", "11:31", "expected one of name, seed, n_startup_trials, n_ei_candidates, group, constant_liar, found 'population_size'"),
    "option of another type": ("n_startup_trials: 8", "n_startup_trials: 8.5", "11:49", "expected a whole number from 0 for n_startup_trials, found 8.5"),
    "truth value for a number": ("n_startup_trials: 8", "n_startup_trials: true", "11:49", "found True"),
    "share above 1": ("name: tpe, seed: 3, n_startup_trials: 8", "name: nsga2, crossover_prob: 1.5", "11:40", "expected a number from 0 to 1 for crossover_prob, found 1.5"),
    "negative seed of the sampler": ("seed: 3", "seed: -1", "11:28", "seed: expected a whole number from 0, found -1"),
    "grid without steps": ("name: tpe, seed: 3, n_startup_trials: 8", "name: grid", "11:17", "expected choices, whole numbers or a step for each parameter of a grid, found model.commitment_cost without a step"),
    "enqueue that is no list": (GOOD[GOOD.index("enqueue:"):GOOD.index("seeds:")], "enqueue: 3\n", "12:10", "expected a list of `field: value`, found 3"),
    "enqueued outside of the space": ("warmup_steps: 10}]", "warmup_steps: 70}]", "12:62", "expected training.warmup_steps between 10 and 60 in steps of 5, found 70"),
    "enqueued between steps": ("warmup_steps: 10}]", "warmup_steps: 12}]", "12:62", "expected training.warmup_steps between 10 and 60 in steps of 5, found 12"),
    "enqueued with digits that no search tries": ("training.warmup_steps: 10}]", "model.commitment_cost: 0.12345678}]", "12:62", "expected model.commitment_cost rounded as a search does, 0.123457, found 0.12345678"),
    "enqueued no choice": ("[{model.num_embeddings: 256", "[{model.num_embeddings: 300", "12:34", "expected model.num_embeddings among [256, 512], found 300"),
    "enqueued no parameter": ("[{model.num_embeddings: 256", "[{model.num_layers: 2", "12:12", "expected a parameter of the space, found 'model.num_layers'"),
    "enqueued against where": ("warmup_steps: 10}]", "warmup_steps: 55}]", "12:11", "expected what `where` allows, training.warmup_steps < 55, found num_embeddings=256"),
    "enqueued against when": (", training.warmup_steps: 10}]", ", model.dead_code_threshold: 0.2}]", "12:39", "expected parameters that act, found model.dead_code_threshold, which acts only where `model.num_embeddings == 512` holds"),
    "enqueued with what the baseline has outside": ("low: 0.05", "low: 0.3", "12:11", "expected a value for model.commitment_cost, since the baseline's, 0.25, is not between 0.3 and 1"),
    "enqueued that does not go together": (GOOD[GOOD.index("  model.dead"):GOOD.index("seeds:")], "  model.num_heads: {choices: [4, 5]}\nenqueue: [{model.num_heads: 5}]\n", "10:11", "enqueue: model.num_heads: expected a divisor of model.hidden_dim, found 5 for 64"),
    "enqueued the baseline": ("[{model.num_embeddings: 256, training.warmup_steps: 10}]", "[{training.warmup_steps: 20}]", "12:11", "expected a configuration that is not there yet"),
    "enqueued twice": ("warmup_steps: 10}]", "warmup_steps: 10}, {model.num_embeddings: 256, training.warmup_steps: 10}]", "12:67", "expected a configuration that is not there yet"),
    "seeds until decided": ("seeds: 2", "seeds: {until_decided: true}", "13:8", "expected a number of seeds or a list of them in a search"),
    "unknown objective": ("[eval.denoising_loss,", "[eval.denoising_los,", "14:14", "did you mean 'eval.denoising_loss'?"),
    "objective that the space redefines": ("[eval.denoising_loss,", "[train.loss,", "14:14", "expected an objective that conditions can be compared on, found 'train.loss', whose definition contains model.commitment_cost"),
    "objective of no direction": ("cost.step_seconds]", "cost.parameters]", "14:35", "expected a metric with a better direction, found 'cost.parameters'"),
    "objective that nothing measures": ("cost.step_seconds]", "eval.kernel_distance]", "14:35", "found evaluation.num_samples 0: set it"),
    "objective twice": ("cost.step_seconds]", "eval.denoising_loss]", "14:35", "expected different metrics, found 'eval.denoising_loss' twice"),
    "no objectives": ("objectives: [eval.denoising_loss, cost.step_seconds]", "objectives: []", "14:13", "expected a list of metrics, found []"),
    "primary that is not the first objective": ("{secondary:", "{primary: eval.pixel_error, secondary:", "15:20", "expected the first of the objectives, eval.denoising_loss, as the primary metric, found eval.pixel_error"),
    "budget of a trial alone": ("trials: 20, hours: 0.5, gpu_hours: 2, ", "", "16:9", "budget: expected trials, a whole number from 1 to 1,000,000, or hours or gpu_hours, found none of them"),
    "budget of no trials": ("trials: 20", "trials: null", "16:10", "budget: expected trials, a whole number from 1 to 1,000,000, found None"),
    "budget of GPU-hours that nothing spends": ("trials: 20, hours: 0.5, ", "", "16:21", "budget: expected trials or hours beside gpu_hours, or a number above 0 as `gpus` of the resources"),
    "no budget": (GOOD[GOOD.index("budget:"):GOOD.index("pruning:")], "", "1:1", "budget: expected trials"),
    "budget of a fraction": ("trials: 20", "trials: 2.5", "16:18", "found 2.5"),
    "fewer trials than seeds": ("trials: 20", "trials: 1", "16:18", "expected at least the 2 of one configuration, a seed each, found 1"),
    "more enqueued than tried": ("trials: 20", "trials: 3", "12:11", "enqueue: expected as many as the budget has trials for beside the baseline, 0, found 1"),
    "hours of nothing": ("hours: 0.5", "hours: 0", "16:29", "expected a number of hours above 0 for hours, found 0"),
    "hours as a duration": ("hours: 2,", "hours: 2 h,", "16:45", "for gpu_hours, found '2 h'"),
    "unknown budget": ("hours: 0.5", "hour: 0.5", "16:22", "did you mean 'hours'?"),
    "trial's budget without a unit": ("10 min", "10", "16:55", "expected a duration"),
    "unknown pruning": ("kind: asha", "kind: halving", "17:17", "expected kind asha or median, found 'halving'"),
    "pruning without a metric": ("metric: eval.curve_denoising_loss, ", "", "17:10", "expected the metric that running trials are compared on, found none"),
    "pruning by what the space redefines": ("metric: eval.curve_denoising_loss", "metric: train.loss", "17:31", "expected a metric that conditions can be compared on, found 'train.loss'"),
    "pruning by a range that the space changes": ("training.warmup_steps: {low: 10, high: 60, step: 5}", "training.warmup_steps: {low: 10, high: 60, step: 5}\n  diffusion.max_step: {low: 900, high: 980}", "18:31", "'eval.curve_denoising_loss', whose definition contains diffusion.max_step"),
    "pruning at steps at which nothing is measured": ("steps: [50]", "steps: [40]", "17:66", "expected steps of evaluation.curve_steps, [0, 50, 100, 150], at which eval.curve_denoising_loss is measured, found 40"),
    "pruning at the end": ("steps: [50]", "steps: [50, 100]", "17:70", "expected steps before the last, 100, found 100"),
    "pruning at falling steps": ("steps: [50]", "steps: [50, 20]", "17:65", "expected steps as a rising list of whole numbers from 1, found [50, 20]"),
    "pruning by a curve between its reports": ("metric: eval.curve_denoising_loss, steps: [50]", "metric: train.denoising_loss, steps: [7]", "17:61", "expected multiples of training.log_every_steps, 10, at which train.denoising_loss is reported, found 7"),
    "halving of nothing": ("steps: [50]", "steps: [50], reduction_factor: 1", "17:89", "expected a whole number from 2 for reduction_factor, found 1"),
    "reduction of a median": ("asha, metric: eval.curve_denoising_loss", "median, reduction_factor: 3, metric: eval.curve_denoising_loss", "17:25", "expected reduction_factor with `kind: asha` only, found it with median"),
    "pruning by the end's metric": ("metric: eval.curve_denoising_loss", "metric: eval.denoising_loss", "17:31", "expected a metric that a running trial reports, such as eval.curve_denoising_loss, found 'eval.denoising_loss'"),
    "confirmation of nothing": ("top: 3", "top: 0", "18:16", "expected a whole number from 1 to 100 for top, found 0"),
    "confirmation by one seed": ("seeds: 4}", "seeds: 1}", "18:26", "expected a number of seeds from 2 to 1000"),
    "confirmation by seen seeds": ("seeds: 4}", "seeds: [7, 1]}", "18:30", "expected seeds that the search has not seen, since its best were chosen on those, found 1"),
    "no workers": ("workers: 2", "workers: 0", "19:10", "expected a whole number from 1, found 0"),
    "no CPUs": ("cpus: 1", "cpus: 0", "20:19", "found 0"),
    "factors beside the space": ("workers: 2", FACTORS, "19:1", "expected no 'factors' beside a space, found it: it belongs to an ablation, which `qdexp run` runs"),
    "controls": ("workers: 2", "controls: [twin]", "19:1", "expected no 'controls' beside a space"),
    "unknown key": ("workers: 2", "worker: 2", "19:1", "did you mean 'workers'?"),
}  # fmt: skip


def written(folder: Path, text: str) -> Path:
    path = folder / "search.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("old", "new", "place", "problem"), WRONG.values(), ids=WRONG)
def test_wrong_search_is_refused_at_its_place(
    tmp_path: Path, old: str, new: str, place: str, problem: str
) -> None:
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(SpecError) as error:
        read_search(path)
    message = str(error.value)
    assert message.startswith(f"{path}:{place}: ")
    assert problem in message
    assert os.listdir(tmp_path) == ["search.yaml"]  # noqa: PTH208


@pytest.fixture
def search(tmp_path: Path) -> SearchSpec:
    return read_search(written(tmp_path, GOOD))


def test_good_search_is_what_it_says(search: SearchSpec) -> None:
    assert [each.kind for each in search.space.parameters] == [
        "categorical", "float", "int", "float",
    ]  # fmt: skip
    assert search.objectives == (
        Objective(metric="eval.denoising_loss", direction="lower"),
        Objective(metric="cost.step_seconds", direction="lower"),
    )
    assert search.spec.metrics.primary == "eval.denoising_loss"
    assert search.budget == SearchBudget(trials=20, hours=0.5, gpu_hours=2.0)
    assert search.spec.budget.trial == 600
    assert search.most_configurations == 10
    assert search.confirm == Confirm(top=3, seeds=(2, 3, 4, 5))
    assert search.sampler.options == {"n_startup_trials": 8}


def test_baseline_is_the_only_condition_with_what_acts_in_it(search: SearchSpec) -> None:
    assert search.spec.baseline == {
        "model.num_embeddings": 512,
        "model.commitment_cost": 0.25,
        "training.warmup_steps": 20,
        "model.dead_code_threshold": 0.3,
    }
    assert [condition for condition, _ in search.spec.grid.conditions] == [search.spec.baseline]


def test_enqueued_has_the_baselines_values_for_what_it_does_not_name(search: SearchSpec) -> None:
    assert search.enqueue == (
        {
            "model.num_embeddings": 256,
            "model.commitment_cost": 0.25,
            "training.warmup_steps": 10,
        },
    )


def test_field_that_is_searched_may_be_set_since_the_baseline_has_it(tmp_path: Path) -> None:
    overrides = parse_overrides(["model.commitment_cost=2.5"], None)
    text = GOOD.replace("enqueue: [{", "enqueue: [{model.commitment_cost: 0.5, ")
    search = read_search(written(tmp_path, text), overrides)
    assert search.spec.baseline["model.commitment_cost"] == 2.5


def test_overrides_change_seeds_and_budget(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    search = read_search(path, parse_overrides([], 3, num_trials=30))
    assert search.spec.seeds == (0, 1, 2)
    assert search.budget.trials == 30
    assert search.confirm == Confirm(top=3, seeds=(3, 4, 5, 6))
    expected = "--trials: expected at least the 3 of one configuration, a seed each, found 2"
    with pytest.raises(ConfigurationError, match=expected):
        read_search(path, Overrides(fields={}, num_seeds=3, num_trials=2))
    with pytest.raises(ConfigurationError, match="--trials: expected a number from 1, found 0"):
        parse_overrides([], None, num_trials=0)


def test_least_that_a_search_needs(tmp_path: Path) -> None:
    text = "name: a\nquestion: b?\npreset: tiny\nspace: {model.num_layers: {low: 1, high: 3}}\n"
    search = read_search(written(tmp_path, f"{text}budget: {{trials: 3}}\n"))
    assert search.objectives == (Objective(metric="eval.denoising_loss", direction="lower"),)
    assert (search.sampler.name, search.spec.seeds, search.workers) == ("tpe", (0,), None)


def test_primary_that_the_space_redefines_is_refused_also_where_nobody_names_it(
    tmp_path: Path,
) -> None:
    space = "space: {evaluation.num_clips: {low: 24, high: 30}}\nbudget: {trials: 3}\n"
    path = written(tmp_path, f"name: a\nquestion: b?\npreset: tiny\n{space}")
    with pytest.raises(SpecError) as error:
        read_search(path)
    expected = f"{path}:4:8: space: expected an objective that conditions can be compared on"
    assert str(error.value).startswith(expected)


def test_each_command_names_the_one_for_the_others_spec(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    with pytest.raises(SpecError, match="found a space: look through it by `qdexp search ") as run:
        read_spec(path)
    assert str(run.value).startswith(f"{path}:5:1: ")
    path = written(tmp_path, GOOD.replace(GOOD[GOOD.index("space:") :], FACTORS))
    with pytest.raises(SpecError, match="an ablation: run it by `qdexp run ") as search:
        read_search(path)
    assert str(search.value).startswith(f"{path}:5:1: ")
    path = written(tmp_path, f"{GOOD}{FACTORS}")
    with pytest.raises(SpecError, match="found both: remove one"):
        read_spec(path)


def test_search_that_a_program_gives_is_the_same_and_errors_name_keys(tmp_path: Path) -> None:
    content = {
        "name": "a",
        "question": "b?",
        "preset": "tiny",
        "space": {"model.num_layers": {"low": 1, "high": 3}},
        "budget": {"trials": 3},
    }
    assert (
        read_search(content).definition()
        == read_search(written(tmp_path, json.dumps(content))).definition()
    )
    content["space"] = {"model.num_layers": {"low": 3, "high": 1}}
    with pytest.raises(SpecError, match=r"<dict>:\['space'\]\['model.num_layers'\]\['high'\]: "):
        read_search(content)


def test_values_satisfy_where_and_go_together_or_do_not(tmp_path: Path) -> None:
    text = GOOD.replace("[256, 512]}", "[256, 512]}\n  model.num_heads: {choices: [4, 5]}")
    search = read_search(written(tmp_path, text))
    good = {**search.spec.baseline, "model.num_heads": 4}
    fields = {**search.baseline.fields(), **good}
    assert search.space.holds(fields)
    assert search.configuration(good).fields()["model.num_heads"] == 4
    assert not search.space.holds({**fields, "training.warmup_steps": 55})
    with pytest.raises(ConfigurationError):
        search.configuration({**good, "model.num_heads": 5})


def test_definition_is_plain_json(search: SearchSpec) -> None:
    definition = search.definition()
    assert json.loads(json.dumps(definition)) == definition


@pytest.mark.parametrize(
    "path", sorted(Path("experiments").glob("search_*.yaml")), ids=lambda path: path.stem
)
def test_every_search_of_ours_is_valid(path: Path) -> None:
    search = read_search(path)
    assert search.name == path.stem
    assert search.space.contains(search.spec.baseline, search.baseline.fields())
