"""`qdexp show --diff A B`: what differs between two trials, and nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import typer

from qdexp.cli.plain_json import plain_json
from qdexp.cli.tables import aligned
from qdexp.results.comparison import Difference
from qdexp.results.folders import runs_folder
from qdexp.results.ledger import Ledger
from qdexp.results.trial_comparison import Pair, TrialDifferences, trial_differences


def show_difference(one: str, other: str, *, runs: Path | None, as_json: bool) -> None:
    """Prints what differs between two trials, beside each other; nothing where nothing does.

    Raises:
        NotFoundError: A prefix does not name one trial.
    """
    with Ledger(runs_folder(runs)) as ledger:
        records = ledger.trial(one), ledger.trial(other)
    found = trial_differences(*records)
    ids = records[0].trial_id[:8], records[1].trial_id[:8]
    if as_json:
        trials = [record.trial_id for record in records]
        typer.echo(plain_json({"trials": trials, **asdict(found)}))
        return
    tables = list(_tables(found, ids))
    if tables:
        typer.echo("\n\n".join(tables))
    else:
        typer.echo("nothing differs", err=True)


def _tables(found: TrialDifferences, ids: tuple[str, str]) -> Iterator[str]:
    for heading, pairs in (
        ("configuration", found.configuration),
        ("trial", found.trial),
        ("outcome", found.outcome),
    ):
        yield from _facts(heading, pairs, ids)
    if found.measurements:
        yield aligned(
            ("measurements", *ids, "difference"), [_numbers(each) for each in found.measurements]
        )
    yield from _facts("provenance", found.provenance, ids)


def _facts(heading: str, pairs: Sequence[Pair], ids: tuple[str, str]) -> Iterator[str]:
    if pairs:
        rows = [(pair.name, _text(pair.one), _text(pair.other)) for pair in pairs]
        yield aligned((heading, *ids), rows)


def _numbers(pair: Difference) -> tuple[str, str, str, str]:
    return pair.name, number_text(pair.one), number_text(pair.other), relative_text(pair)


def _text(value: object) -> str:
    return "-" if value is None else " ".join(str(value).split())


def number_text(value: float | None) -> str:
    """Returns a number with as many digits as tell it from every other one."""
    return "-" if value is None else repr(value)


def relative_text(pair: Difference) -> str:
    """Returns a difference as a share of the first number, or nothing: ``+1.2 %``."""
    return "" if pair.relative is None else f"{100 * pair.relative:+.3g} %"
