"""Frames for notebooks: of a name, a folder, a copied file, several together; thinned histories."""

import gc
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdexp_analysis import find, load, load_all, write_report
from qdexp_analysis.histories import read_histories

from qdexp.errors import NotFoundError, RequestError
from qdexp.experiment.trial import Trial
from qdexp.results.bundle_writing import write_bundle
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Failure, Outcome, Series
from qdexp.results.recorder import Recorder

Make = Callable[[Any], Path]
FEWER = {"model.num_embeddings": (4096, 8192)}


def test_path_of_a_folder_or_of_a_copied_file_will_do(
    make_ledger: Make, made: type[Any], tmp_path: Path
) -> None:
    runs = make_ledger(made())
    copied = shutil.copy(runs / "ledger.sqlite", tmp_path / "from another machine.sqlite")
    by_name = load("codebook_size", runs)
    for place in (runs, str(runs), copied, str(copied)):
        found = load(place)
        assert found.name == "codebook_size"
        assert found.measurements.equals(by_name.measurements)
        assert found.history("train.loss").equals(by_name.history("train.loss"))
    assert load("codebook_size", copied).contrasts.equals(by_name.contrasts)


def test_a_runs_folder_copied_from_elsewhere_will_do(
    make_ledger: Make, made: type[Any], tmp_path: Path
) -> None:
    runs = make_ledger(made())
    copied = shutil.copytree(runs, tmp_path / "theirs")
    expected = load("codebook_size", runs).contrasts
    shutil.rmtree(runs)
    assert load(copied).contrasts.equals(expected)


def test_bundle_is_read_as_the_ledger_that_it_was_made_of(
    make_ledger: Make, made: type[Any], tmp_path: Path
) -> None:
    runs, file = make_ledger(made()), tmp_path / "codebook_size.qdexp.zip"
    make_ledger(made(name="other"))
    write_bundle("codebook_size", runs, {}, file, with_checkpoints=False)
    ours = load("codebook_size", runs)
    for place in (file, str(file)):
        found = load(place)
        assert found.measurements.equals(ours.measurements)
        assert found.contrasts.equals(ours.contrasts)
        assert found.history("train.loss").equals(ours.history("train.loss"))
    assert load("codebook_size", file).trials.equals(ours.trials)
    assert len(load_all(file, runs).experiments) == 3

    unpacked = found.file
    assert unpacked.exists()
    del found
    gc.collect()
    assert not unpacked.exists()


def test_damaged_bundle_is_refused(make_ledger: Make, made: type[Any], tmp_path: Path) -> None:
    file = tmp_path / "codebook_size.qdexp.zip"
    write_bundle("codebook_size", make_ledger(made()), {}, file, with_checkpoints=False)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(RequestError, match="expected"):
        load(file)


def test_one_is_asked_for_and_several_are_there(make_ledger: Make, made: type[Any]) -> None:
    runs = make_ledger(made())
    make_ledger(made(name="other"))
    with pytest.raises(RequestError, match=r"found 2 in .*: codebook_size, other; name one"):
        load(runs)
    with pytest.raises(NotFoundError, match="expected a runs folder, a ledger or a bundle"):
        load(runs / "nowhere")


def test_several_together_have_every_trial_and_say_what_means_the_same(
    make_ledger: Make, made: type[Any]
) -> None:
    runs = make_ledger(made())
    make_ledger(made(name="tokens", factors={"evaluation.codebook_tokens": (100, 200)},
                     baseline=(100,)))  # fmt: skip
    both = load_all(runs)
    assert both.trials.groupby("experiment").size().to_dict() == {"codebook_size": 9, "tokens": 6}
    assert both.measurements.columns[0] == "experiment"
    rows = both.measurements
    meanings = rows.groupby(["metric", "experiment"])["definition"].first().unstack()
    assert meanings.loc["eval.denoising_loss"].nunique() == 1
    assert meanings.loc["eval.codebook_usage"].nunique() == 2
    assert set(load_all("tokens", "codebook_size", runs=runs).contrasts["experiment"]) == {
        "tokens", "codebook_size",
    }  # fmt: skip


def test_results_show_themselves_and_text_stays_text(make_ledger: Make, made: type[Any]) -> None:
    runs = make_ledger(made(question="Is <script>alert(1)</script> better?"))
    experiment = load("codebook_size", runs)
    files = write_report("codebook_size", runs)
    for shown in (experiment, find(experiment), load_all(runs)):
        page = shown._repr_html_()
        assert "<script" not in page
        assert "&lt;script&gt;" in page
        assert "16384" in page
    assert files.html.as_uri() in files._repr_html_()
    assert files.summary_lines[0][:30] in files._repr_html_()


def long_ledger(runs: Path, lengths: list[int]) -> dict[str, tuple[int, int]]:
    from qdexp.config.presets import preset

    trials = [
        Trial(configuration=preset("tiny"), seed=seed, data_fingerprint="d")
        for seed in range(len(lengths))
    ]
    with Recorder(runs) as recorder:
        recorder.record_plan(
            ("s.yaml", "text", {"name": "long"}), [(trial, {}) for trial in trials]
        )
        for trial, length in zip(trials, lengths, strict=True):
            steps = tuple(range(1, length + 1))
            series = Series(steps=steps, values=tuple(float(step) for step in steps))
            recorder.record_outcome(
                Outcome(
                    trial_id=trial.trial_id,
                    status="diverged",
                    step=length,
                    history={"train.loss": series, "train.vq_loss": series},
                    failure=Failure(reason="loss is nan"),
                )
            )
    return {trial.trial_id: (0, trial.seed) for trial in trials}


def test_thinned_histories_meet_at_their_steps_and_the_longest_end_where_they_ended(
    tmp_path: Path,
) -> None:
    places = long_ledger(tmp_path, [1000, 1000, 130, 3])
    with Ledger(tmp_path) as ledger:
        whole = read_histories(ledger, places)
        thin = read_histories(ledger, places, ["train.loss"], 100)
    assert len(whole) == 2 * (1000 + 1000 + 130 + 3)
    by_seed = {seed: rows["step"].tolist() for seed, rows in thin.groupby("seed")}
    assert by_seed[0] == by_seed[1]
    assert 50 < len(by_seed[0]) <= 101
    assert by_seed[0][-1] == 1000
    assert set(by_seed[2]) < set(by_seed[0])
    assert by_seed[3] == [1]
    assert np.array_equal(thin["step"], thin["value"])


def test_short_histories_are_not_thinned(make_ledger: Make, made: type[Any]) -> None:
    experiment = load("codebook_size", make_ledger(made()))
    thin = experiment.history("train.loss", 100)
    assert thin["value"].tolist() == experiment.history("train.loss")["value"].tolist()
    assert {"train.loss", "eval.curve_denoising_loss"} <= experiment.history_names
