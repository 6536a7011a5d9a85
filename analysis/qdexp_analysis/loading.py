"""Experiments for notebooks and scripts: tidy frames of one, or of several together."""

import shutil
import weakref
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp

import pandas as pd

from qdexp.errors import NotFoundError, RequestError
from qdexp.results.bundle_reading import Bundle
from qdexp.results.folders import runs_folder
from qdexp.results.ledger import Ledger, TrialRecord
from qdexp_analysis.definitions import meaning_digest
from qdexp_analysis.findings import Findings, find
from qdexp_analysis.frames import contrast_frame, no_contrasts
from qdexp_analysis.labels import condition_text
from qdexp_analysis.notebook import experiment_html, search_html
from qdexp_analysis.search_document import suggestion_frame
from qdexp_analysis.search_findings import SearchFindings, find_search
from qdexp_analysis.searched import is_search, load_searched
from qdexp_analysis.table import Experiment


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedExperiment(Experiment):
    """An experiment with what was found of it, computed when it is first asked for.

    `trials`, `measurements`, `contrasts` and `histories` are tidy frames, and `suggestions` of a
    search.

    Args:
        unpacked: Where its ledger was taken out of a bundle to, for as long as somebody has this;
            None for a ledger that stays where it is.
    """

    unpacked: "Unpacked | None" = None

    @cached_property
    def findings(self) -> Findings:
        """The answer to its question, as numbers."""
        return find(self)

    @cached_property
    def contrasts(self) -> pd.DataFrame:
        """One row for each contrast, with unit and direction; see `frames.contrast_frame`."""
        return no_contrasts() if is_search(self) else contrast_frame(self.findings)

    @cached_property
    def found(self) -> SearchFindings:
        """The answer of a search, as numbers; importances are for the report.

        Raises:
            RequestError: It is no search.
        """
        if not is_search(self):
            raise RequestError(f"expected a search, found '{self.name}', which compares levels")
        return find_search(load_searched(self, self.file))

    @cached_property
    def suggestions(self) -> pd.DataFrame:
        """One row for each suggestion of a search; see `search_document.suggestion_frame`.

        Raises:
            RequestError: It is no search.
        """
        return suggestion_frame(self.found.searched, self.found)

    def _repr_html_(self) -> str:
        return search_html(self.found) if is_search(self) else experiment_html(self.findings)


class Unpacked:
    """A copy of a bundle's ledger, removed when nobody has this any more.

    Raises:
        RequestError: It is no bundle, or is damaged.
        LedgerError: Its ledger cannot be read.
    """

    def __init__(self, bundle: Path) -> None:
        with Bundle(bundle) as whole:
            self.folder = Path(mkdtemp())
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
            shutil.copy(whole.ledger.file, self.folder)


@dataclass(frozen=True, kw_only=True)
class LoadedExperiments:
    """Several experiments; their frames have the experiment's name in the first column.

    Args:
        experiments: Each of them.
    """

    experiments: tuple[LoadedExperiment, ...]

    @cached_property
    def trials(self) -> pd.DataFrame:
        """Every planned trial of each; one that two experiments share has a row in both."""
        return _together([(each.name, each.trials) for each in self.experiments])

    @cached_property
    def measurements(self) -> pd.DataFrame:
        """One row for each number.

        `definition` is equal where a metric means the same: only such values can be compared.
        """
        return _together([(each.name, _defined(each)) for each in self.experiments])

    @cached_property
    def contrasts(self) -> pd.DataFrame:
        """One row for each contrast; Holm's correction is each experiment's own."""
        return pd.concat([each.contrasts for each in self.experiments], ignore_index=True)

    def __getitem__(self, name: str) -> LoadedExperiment:
        """Returns the experiment of this name."""
        return {each.name: each for each in self.experiments}[name]

    def _repr_html_(self) -> str:
        return "".join(each._repr_html_() for each in self.experiments)


def load(name_or_path: str | Path, runs: Path | str | None = None) -> LoadedExperiment:
    """Reads one experiment.

    Args:
        name_or_path: Its name; or the path of a bundle, or of a runs folder or a ledger's file,
            perhaps copied from another machine, that has one experiment.
        runs: The runs folder, or a ledger's file, in which that name is; ``$QDEXP_RUNS`` or
            ``runs`` unless given.

    Raises:
        NotFoundError: There is no such experiment.
        RequestError: The path has several experiments, or is a damaged bundle.
        LedgerError: The ledger cannot be read.
    """
    found = list(load_all(name_or_path, runs=runs).experiments)
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise RequestError(
            f"expected one experiment, found {len(found)} in {name_or_path}: {names}; name one "
            "with load(NAME, PATH), or take all of them with load_all(PATH)"
        )
    return found[0]


def load_all(*names_or_paths: str | Path, runs: Path | str | None = None) -> LoadedExperiments:
    """Reads several experiments together: those named, and all of every path.

    Without any it reads all of the runs folder.

    Raises:
        NotFoundError: There is no such experiment, or none at all.
        RequestError: A bundle is damaged.
        LedgerError: A ledger cannot be read.
    """
    found: list[LoadedExperiment] = []
    for each in names_or_paths or (_place(runs),):
        path = Path(each)
        is_place = isinstance(each, Path) or _is_ledger(path)
        if is_place and not _is_ledger(path):
            raise NotFoundError(f"expected a runs folder, a ledger or a bundle, found none: {path}")
        found += _read(path, None) if is_place else _read(_place(runs), str(each))
    if not found:
        raise NotFoundError(f"expected experiments, found none in {_place(runs)}")
    return LoadedExperiments(experiments=tuple(found))


def _read(place: Path, name: str | None) -> list[LoadedExperiment]:
    if zipfile.is_zipfile(place):
        unpacked = Unpacked(place)
        return [replace(each, unpacked=unpacked) for each in _read(unpacked.folder, name)]
    with Ledger(place) as ledger, ledger.snapshot():
        names = ledger.experiments() if name is None else [name]
        return [LoadedExperiment.from_ledger(ledger, each) for each in names]


def _place(runs: Path | str | None) -> Path:
    given = None if runs is None else Path(runs)
    return given if given is not None and given.is_file() else runs_folder(given)


def _is_ledger(path: Path) -> bool:
    return path.is_file() or (path / "ledger.sqlite").is_file()


def _defined(experiment: LoadedExperiment) -> pd.DataFrame:
    frame = experiment.measurements
    compared = [experiment.records_at(k)[0] for k in range(len(experiment.conditions))]
    beside: dict[str, list[TrialRecord]] = {}
    for record in (*experiment.controls, *experiment.teachers):
        beside.setdefault(condition_text(record.condition), []).append(record)
    definitions = {
        (name, label): meaning_digest(experiment.metric(name), beside.get(label, compared))
        for name, label in frame[["metric", "label"]].drop_duplicates().itertuples(index=False)
    }
    meanings = [definitions[key] for key in zip(frame["metric"], frame["label"], strict=True)]
    return frame.assign(definition=meanings)


def _together(named: Sequence[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    frames = [frame.assign(experiment=name) for name, frame in named]
    whole = pd.concat(frames, ignore_index=True)
    return whole.reindex(columns=["experiment", *whole.columns.drop("experiment")])
