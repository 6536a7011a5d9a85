"""`qdexp import`: another machine's ledger becomes part of this one."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer

from qdexp.cli.plain_json import plain_json
from qdexp.cli.show_difference import number_text, relative_text
from qdexp.cli.tables import aligned
from qdexp.results.folders import runs_folder
from qdexp.results.importing import Imported, import_ledger
from qdexp.results.merging import Disagreement


def import_from(place: Path, *, runs: Path | None, with_files: bool, as_json: bool) -> int:
    """Imports and says what came; returns 1 where results disagree, and else 0.

    Raises:
        RequestError: There is nothing to import.
        LedgerError: A ledger cannot be read or written.
    """
    done = import_ledger(place, runs_folder(runs), with_files=with_files)
    if as_json:
        typer.echo(plain_json(_as_data(done)))
    else:
        typer.echo("\n".join(_lines(done)))
    return 1 if done.merged.disagreements else 0


def _lines(done: Imported) -> Iterator[str]:
    merged = done.merged
    yield (
        f"imported from {done.origin}: {_count(merged.num_experiments, 'experiment')}, "
        f"{_count(merged.num_trials, 'trial')} ({merged.num_new_trials} new here), "
        f"{_count(merged.num_outcomes, 'new outcome')}"
    )
    if merged.num_equal:
        yield f"{_count(merged.num_equal, 'trial')} had an equal result on both machines"
    if merged.num_invalidated:
        number = _count(merged.num_invalidated, "outcome")
        yield f"{number} of ours had been invalidated there, and are now here"
    if done.copied.num_files:
        yield f"{_count(done.copied.num_files, 'file')} copied, {done.copied.num_bytes:,} bytes"
    for name in merged.keeping_their_spec:
        yield (
            f"{name}: its spec here stays, and asks for fewer trials than came: run a spec that "
            "asks for them, and they count"
        )
    for name in merged.keeping_their_history:
        yield (
            f"{name}: the search suggested other configurations here than there: ours go on, and "
            "what theirs measured is found by a search of another name"
        )
    for each in merged.disagreements:
        yield from _disagreement(each)


def _disagreement(found: Disagreement) -> Iterator[str]:
    yield (
        f"\ntrial {found.trial_id} has another result there ({found.here} here, {found.there} "
        "there): ours counts, theirs is kept beside it (`qdexp show`); if ours is wrong, `qdexp "
        "invalidate` it and import again"
    )
    if found.numbers:
        rows = [
            (f"  {n.name}", number_text(n.one), number_text(n.other), relative_text(n))
            for n in found.numbers
        ]
        yield aligned(("  metric", "here", "there", "difference"), rows)


def _as_data(done: Imported) -> dict[str, object]:
    return {"origin": done.origin, **asdict(done.merged), **asdict(done.copied)}


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
