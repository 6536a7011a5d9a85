"""A wrong spec is refused at its line and column, in words that help."""

import re
from pathlib import Path

import pytest

from qdexp.errors import SpecError
from qdexp.experiment.reader import read_spec
from tests.unit.experiment.written_spec import GOOD, written

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
