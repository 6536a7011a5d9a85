"""A wrong spec is refused at its line and column, in words that help."""

import re
from pathlib import Path

import pytest

from qdexp.errors import ConfigurationError, SpecError
from qdexp.experiment.reader import Overrides, parse_overrides, read_spec
from qdexp.experiment.spec import Resources, SmallestEffect, Spec

GOOD = """\
name: sizes
question: Does size matter?
preset: tiny
set:
  training.max_steps: 50
factors:
  model.num_embeddings: {levels: [64, 128], baseline: 64}
  diffusion.min_step: {levels: [20, 50], baseline: 20}
where: diffusion.min_step < diffusion.max_step
seeds: 2
metrics:
  primary: eval.denoising_loss
  secondary: [eval.perplexity]
  smallest_effect: 0.5%
resources: {cpus: 1, gpus: auto}
"""

# ruff: noqa: E501
# What replaces what in GOOD, where the error stands, and what its message holds.
WRONG = {
    "unknown top-level field": ("seeds: 2", "seed: 2", "10:1", "found 'seed'; did you mean 'seeds'?"),
    "unknown factor": ("model.num_embeddings:", "model.num_embedings:", "7:3",
        "found 'model.num_embedings'; did you mean 'model.num_embeddings'?"),
    "unknown field in set": ("training.max_steps: 50", "max_step: 50", "5:3",
        "found 'max_step'; did you mean"),
    "unknown factor key": ("baseline: 64", "base: 64", "7:45", "found 'base'"),
    "wrong type in set": ("max_steps: 50", "max_steps: fifty", "5:23", "found 'fifty'"),
    "text for a number": ("[64, 128]", "[64, '128']", "7:39", "expected a valid integer, found '128'"),
    "truth value for a number": ("[64, 128]", "[64, true]", "7:39", "found True"),
    "level below its range": ("[64, 128]", "[64, 1]", "7:39",
        "expected greater than or equal to 2, found 1"),
    "level above its range": ("[20, 50]", "[20, 50000]", "8:37",
        "expected less than or equal to 9999, found 50000"),
    "duplicate level": ("[64, 128]", "[64, 128, 64]", "7:44", "expected different levels, found 64"),
    "no baseline": (", baseline: 64", "", "7:3", "expected `baseline:`, one of [64, 128], found none"),
    "baseline not among the levels": ("baseline: 64", "baseline: 99", "7:55",
        "expected a baseline among [64, 128], found 99"),
    "no levels": ("levels: [64, 128]", "levels: []", "7:34", "expected a list of levels, found []"),
    "levels not a list": ("levels: [64, 128]", "levels: 64", "7:34", "expected a list of levels"),
    "factor without content": ("{levels: [64, 128], baseline: 64}", "", "7:3", "levels, baseline"),
    "empty grid": (GOOD[GOOD.index("factors:"):GOOD.index("where:")], "factors: {}\n", "6:10",
        "an empty grid"),
    "no factors": (GOOD[GOOD.index("factors:"):GOOD.index("where:")], "", "1:1", "an empty grid"),
    "no name": ("name: sizes\n", "", "1:1", "name: expected"),
    "name with a slash": ("name: sizes", "name: a/b", "1:7", "found 'a/b'"),
    "no question": ("question: Does size matter?\n", "", "1:1", "question: expected"),
    "unknown preset": ("preset: tiny", "preset: tinny", "3:9", "did you mean 'tiny'?"),
    "no preset": ("preset: tiny\n", "", "1:1", "expected a preset's name, found None"),
    "unknown design": ("seeds: 2", "design: full", "10:9", "expected full_factorial, one_at_a_time, leave_one_out, fractional_factorial or listed, found 'full'"),
    "bad YAML": ("levels: [64, 128]", "levels: [64, 128", "", "expected YAML 1.2"),
    "YAML with tabs": ("  training", "\ttraining", "5:1", "expected spaces, found a tab"),
    "a key twice": ("seeds: 2", "seeds: 2\nseeds: 3", "11:1", "duplicate key"),
    "not a mapping": (GOOD, "- a\n- b\n", "1:1", "expected `key: value` lines"),
    "empty file": (GOOD, "", "1:1", "found nothing"),
    "where refuses all": ("where: diffusion.min_step <", "where: diffusion.min_step >", "9:8",
        "refuses all 4"),
    "where refuses the baseline": ("where: diffusion.min_step < diffusion.max_step",
        "where: diffusion.min_step > 20", "9:8", "expected to keep the baseline"),
    "where with an unknown field": ("where: diffusion.min_step <", "where: 0 < diffusion.min_stp and 1 <",
        "9:12", "did you mean 'diffusion.min_step'?"),
    "where that calls": ("where: diffusion.min_step < diffusion.max_step",
        "where: __import__('os').system('x') == 0", "9:24", "found '.'"),
    "where cut short": ("< diffusion.max_step", "<", "9:28", "found the end"),
    "where compares unlike things": ("< diffusion.max_step", "== 'linear'", "9:27", "of one kind"),
    "seeds of zero": ("seeds: 2", "seeds: 0", "10:8", "found 0"),
    "a seed twice": ("seeds: 2", "seeds: [1, 1]", "10:8", "found [1, 1]"),
    "unknown metric": ("primary: eval.denoising_loss", "primary: eval.loss", "12:12",
        "found 'eval.loss'; did you mean"),
    "metric that a factor redefines": ("primary: eval.denoising_loss", "primary: train.loss", "12:12",
        "whose definition contains diffusion.min_step"),
    "measure of samples without samples": ("eval.denoising_loss", "eval.kernel_distance", "12:12",
        "found evaluation.num_samples 0: set it, such as to 512"),
    "measure of samples of another definition": (
        "eval.denoising_loss", "eval.frechet.pixels-pca.n9.r9.f17.s1.64x64", "12:12",
        "found evaluation.num_samples 0: set it, such as to 512"),
    "secondary measure of samples without samples": ("[eval.perplexity]", "[eval.fps]", "13:15",
        "found evaluation.num_samples 0: set it, such as to 512"),
    "effect of nothing": ("0.5%", "0%", "14:20", "found '0%'"),
    "effect that is no number": ("0.5%", "little", "14:20", "found 'little'"),
    "no CPU": ("cpus: 1", "cpus: 0", "15:19", "found 0"),
    "unknown resource": ("cpus: 1", "cpu: 1", "15:13", "did you mean 'cpus'?"),
    "field both set and varied": ("training.max_steps: 50", "model.num_embeddings: 50", "5:3",
        "which factors vary"),
    "condition that fits nothing": (GOOD[GOOD.index("  diffusion.min"):GOOD.index("seeds:")],
        "  diffusion.min_step: {levels: [20, 990], baseline: 20}\n", "6:1", "exclude it by `where`"),
    "values in set that do not fit": ("training.max_steps: 50", "model.num_heads: 5", "5:20",
        "model.num_heads: expected a divisor of model.hidden_dim, found 5 for 64"),
    "factor that changes no result": ("diffusion.min_step: {levels: [20, 50], baseline: 20}",
        "training.checkpoint_every_steps: {levels: [5, 9], baseline: 5}", "8:3",
        "changes no result, so its levels cannot be compared"),
    "too many conditions": (GOOD[GOOD.index("  model.num_emb"):GOOD.index("where:")],
        f"  model.num_embeddings: {{levels: {list(range(2, 402))}, baseline: 2}}\n"
        f"  diffusion.min_step: {{levels: {list(range(300))}, baseline: 20}}\n", "7:3",
        "expected at most 100,000 combinations of levels to choose from, found 2 factors, full "
        "factorial 400 x 300: 120,000 conditions x 2 seeds = 240,000 trials: vary less"),
    "too many trials": (GOOD[GOOD.index("  diffusion.min"):GOOD.index("metrics:")],
        f"  diffusion.min_step: {{levels: {list(range(60))}, baseline: 20}}\nseeds: 1000\n", "7:3",
        "expected at most 1,000 trials, found 120,000 (2 factors, full factorial 2 x 60: 120 "
        "conditions x 1,000 seeds = 120,000 trials): vary less, or allow them by --max-trials 120000"),
    "where nested deeply": ("where: diffusion.min_step < diffusion.max_step",
        f"where: {'(' * 3000}1 < 2{')' * 3000}", "9:58", "at most 50 levels of 'not' and '('"),
    "where with many nots": ("where: ", f"where: {'not ' * 5000}", "9:208", "at most 50 levels"),
    "where with a choice that there is not": ("diffusion.min_step < diffusion.max_step",
        "diffusion.beta_schedule == 'lineer'", "9:35",
        "expected one of linear, cosine for diffusion.beta_schedule, found 'lineer'; "
        "did you mean 'linear'?"),
    "YAML nested deeply": ("[64, 128]", "{a: " * 1000 + "1" + "}" * 1000, "1:1", "levels of nesting"),
    "half of a surrogate pair": ("Does size matter?", r'"\uD800"', "2:11", r"found half of a surrogate"),
    "key with half of a surrogate pair": ("seeds:", r'"\uD800":', "10:1", "half of a surrogate"),
    "binary question": ("Does size matter?", "!!binary aGVsbG8=", "2:11", "found b'hello'"),
    "date for a name": ("name: sizes", "name: 2026-01-02", "1:7", "put a text into quotes"),
    "set of levels": ("[64, 128]", "!!set {64, 128}", "7:34", "expected a text, a number"),
    "object of Python": ("preset: tiny", "preset: !!python/object/apply:os.system [ls]", "3:9",
        "expected a preset's name, found ['ls']"),
    "unknown field merged in": ("training.max_steps: 50", "<<: {max_step: 50}", "5:3",
        "found 'max_step'"),
    "wrong value merged in": ("training.max_steps: 50", "<<: {training.max_steps: no}", "5:3",
        "found 'no'"),
    "scheduler": ("seeds: 2", "scheduler: asha", "10:1",
        "expected no 'scheduler' in an ablation, found it: where the worse trials stop early, only "
        "survivors are compared, and their contrasts are biased"),
    "pruning": ("seeds: 2", "pruning: {patience: 3}", "10:1", "belongs to the spec of a search"),
    "asha": ("name: sizes", "asha: {grace: 3}", "1:1", "expected no 'asha' in an ablation"),
    "trainable of no names": ("seeds: 2", 'trainable: "..:f"', "10:12",
        "expected package.module:function, found '..:f'"),
    "trainable without a function": ("seeds: 2", "trainable: module", "10:12",
        "expected package.module:function"),
}  # fmt: skip


def written(folder: Path, text: str) -> Path:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def good(folder: Path) -> Spec:
    return read_spec(written(folder, GOOD))


@pytest.mark.parametrize("case", WRONG)
def test_wrong_spec_is_refused_where_it_is_wrong(case: str, tmp_path: Path) -> None:
    old, new, position, message = WRONG[case]
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(SpecError) as caught:
        read_spec(path)
    text = str(caught.value)
    assert re.match(re.escape(f"{path}:{position}"), text), text
    assert message in text
    assert "expected" in text


def test_spec_is_read_completely(tmp_path: Path) -> None:
    spec = good(tmp_path)
    assert spec.name == "sizes"
    assert spec.seeds == (0, 1)
    assert spec.metrics.smallest_effect == SmallestEffect(value=0.005, is_relative=True)
    assert spec.resources == Resources(cpus=1, gpus=None)
    assert spec.baseline == {"model.num_embeddings": 64, "diffusion.min_step": 20}
    labels = [tuple(condition.values()) for condition, _ in spec.grid.conditions]
    assert labels == [(64, 20), (64, 50), (128, 20), (128, 50)]
    configuration = spec.grid.conditions[3][1]
    fields = configuration.fields()
    assert (fields["model.num_embeddings"], fields["training.max_steps"]) == (128, 50)


def test_where_leaves_conditions_out(tmp_path: Path) -> None:
    text = GOOD.replace(
        "where: diffusion.min_step < diffusion.max_step",
        'where: "not (model.num_embeddings == 128 and diffusion.min_step >= 50)"',
    )
    spec = read_spec(written(tmp_path, text))
    assert len(spec.grid.conditions) == 3


@pytest.mark.parametrize(
    "change",
    ["<<: {training.max_steps: 50}", "<<: {training.max_steps: 9}\n  training.max_steps: 50"],
)
def test_merged_mapping_is_read_as_if_it_stood_there(tmp_path: Path, change: str) -> None:
    path = written(tmp_path, GOOD.replace("training.max_steps: 50", change))
    assert read_spec(path).grid.set == {"training.max_steps": 50}


def test_ordered_mapping_is_read_as_a_mapping(tmp_path: Path) -> None:
    text = GOOD.replace("set:\n  training", "set: !!omap\n  - training")
    assert read_spec(written(tmp_path, text)).grid.set == {"training.max_steps": 50}


def test_merge_key_in_an_override_is_data(tmp_path: Path) -> None:
    overrides = parse_overrides(["training.max_steps={<<: {a: 1}}"], None)
    with pytest.raises(ConfigurationError, match="expected a valid integer"):
        read_spec(written(tmp_path, GOOD), overrides)


def test_trainable_without_a_declaration_runs_qdexps_configuration(tmp_path: Path) -> None:
    spec = read_spec(written(tmp_path, GOOD + "trainable: tests.contract.toy_trainables:raises\n"))
    assert spec.trainable == "tests.contract.toy_trainables:raises"
    assert (spec.own, spec.grid.preset) == (None, "tiny")


def test_numbers_are_of_yaml_1_2(tmp_path: Path) -> None:
    text = GOOD.replace("training.max_steps: 50", "training.learning_rate: 1e-4")
    spec = read_spec(written(tmp_path, text))
    assert spec.grid.set == {"training.learning_rate": 1e-4}


def test_trials_are_ordered_by_seed(tmp_path: Path) -> None:
    trials = good(tmp_path).trials(["data"] * 4)
    assert [trial.seed for trial, _ in trials] == [0] * 4 + [1] * 4
    assert len({trial.trial_id for trial, _ in trials}) == 8


def test_command_line_overrides_the_spec(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    spec = read_spec(path, parse_overrides(["training.max_steps=7"], 5))
    assert spec.grid.set == {"training.max_steps": 7}
    assert spec.seeds == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("assignments", "seeds", "message"),
    [
        (["training.max_steps"], None, "expected FIELD=VALUE"),
        (["training.max_step=3"], None, "did you mean 'training.max_steps'?"),
        (["training.max_steps=many"], None, "found 'many'"),
        ([], 0, "expected a number from 1 to 1000, found 0"),
        ([], 3_000_000_000, "expected a number from 1 to 1000, found 3000000000"),
    ],
)
def test_wrong_override_is_refused(
    tmp_path: Path, assignments: list[str], seeds: int | None, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        read_spec(written(tmp_path, GOOD), parse_overrides(assignments, seeds))


def test_override_of_a_factor_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    with pytest.raises(ConfigurationError, match=r"is no factor, found 'model\.num_embeddings'"):
        read_spec(path, Overrides(fields={"model.num_embeddings": 3}))


def test_definition_is_json_with_all_that_the_analysis_needs(tmp_path: Path) -> None:
    definition = good(tmp_path).definition()
    assert definition["factors"][0] == {
        "field": "model.num_embeddings",
        "levels": [64, 128],
        "baseline": 64,
    }
    assert definition["metrics"] == {
        "primary": "eval.denoising_loss",
        "secondary": ["eval.perplexity"],
        "smallest_effect": {"value": 0.005, "is_relative": True},
    }


def sampled(folder: Path, *changes: tuple[str, str]) -> Path:
    """Writes GOOD with 256 samples and other changes."""
    text = GOOD.replace("max_steps: 50", "max_steps: 50\n  evaluation.num_samples: 256")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return written(folder, text)


FULL = "eval.kernel_distance.pixels-pca.n256.r170.f17.s1.64x64"


@pytest.mark.parametrize("name", ["eval.kernel_distance", FULL])
def test_a_measure_of_samples_is_read_under_its_full_name(tmp_path: Path, name: str) -> None:
    names = ("eval.denoising_loss", name), ("[eval.perplexity]", "[eval.frechet, eval.fps]")
    metrics = read_spec(sampled(tmp_path, *names)).metrics
    assert metrics.primary == FULL
    assert metrics.secondary == (
        "eval.frechet.pixels-pca.n256.r170.f17.s1.64x64",
        "eval.fps",
    )


def test_a_full_name_of_another_definition_is_refused_with_the_right_one(tmp_path: Path) -> None:
    path = sampled(tmp_path, ("eval.denoising_loss", FULL.replace("n256", "n512")))
    with pytest.raises(SpecError, match=rf":13:12: metrics: expected '{FULL}', which this"):
        read_spec(path)


@pytest.mark.parametrize(
    ("field", "levels"),
    [
        ("evaluation.num_samples", "[128, 256]"),
        ("data.num_frames", "[17, 21]"),
        ("evaluation.backbone", "[pixels-pca, i3d]"),
    ],
)
def test_a_factor_that_changes_a_measures_name_is_refused(
    tmp_path: Path, field: str, levels: str
) -> None:
    first = levels.strip("[]").split(",")[0]
    text = GOOD.replace("diffusion.min_step: {levels: [20, 50], baseline: 20}", "FACTOR")
    text = text.replace("FACTOR", f"{field}: {{levels: {levels}, baseline: {first}}}")
    text = text.replace("primary: eval.denoising_loss", "primary: eval.frechet")
    problem = f"12:12: metrics: expected a primary metric .* whose definition contains {field}"
    with pytest.raises(SpecError, match=problem):
        read_spec(written(tmp_path, text))


def test_a_secondary_measure_has_a_name_for_each_definition(tmp_path: Path) -> None:
    factor = "evaluation.num_samples: {levels: [128, 256], baseline: 128}"
    text = GOOD.replace("diffusion.min_step: {levels: [20, 50], baseline: 20}", factor)
    text = text.replace("[eval.perplexity]", "[eval.frechet]")
    assert read_spec(written(tmp_path, text)).metrics.secondary == (
        "eval.frechet.pixels-pca.n128.r170.f17.s1.64x64",
        "eval.frechet.pixels-pca.n256.r170.f17.s1.64x64",
    )


def test_fvd_as_primary_metric_needs_its_weights(tmp_path: Path) -> None:
    set_i3d = ("num_samples: 256", "num_samples: 256\n  evaluation.backbone: i3d")
    path = sampled(tmp_path, ("eval.denoising_loss", "eval.frechet"), set_i3d)
    with pytest.raises(SpecError, match=r"without the weights of i3d: get .*i3d_torchscript\.pt"):
        read_spec(path)
    path = sampled(tmp_path, ("[eval.perplexity]", "[eval.frechet]"), set_i3d)
    (secondary,) = read_spec(path).metrics.secondary
    assert secondary.startswith("eval.frechet.i3d."), "beside others it is a warning"


def test_a_score_is_refused_where_no_classifier_is_wanted(tmp_path: Path) -> None:
    path = sampled(tmp_path, ("[eval.perplexity]", "[eval.inception_score]"))
    problem = "eval.inception_score is not measured without evaluation.classifier: set it to digits"
    with pytest.raises(SpecError, match=problem):
        read_spec(path)


ABLATIONS = sorted(
    path for path in Path("experiments").glob("*.yaml") if not path.stem.startswith("search_")
)


@pytest.mark.parametrize("path", ABLATIONS, ids=lambda path: path.stem)
def test_every_experiment_of_ours_is_valid(path: Path) -> None:
    spec = read_spec(path)
    assert spec.name == path.stem
    assert len(spec.grid.conditions) >= 2
