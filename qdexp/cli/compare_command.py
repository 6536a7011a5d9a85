"""`qdexp compare`: two experiments, or two conditions, beside each other."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from qdexp.cli.plain_json import plain_json
from qdexp.cli.tables import aligned, wrapped

if TYPE_CHECKING:
    from qdexp_analysis.comparing import Compared, Comparison


def compare(one: str, other: str, *, runs: Path | None, as_json: bool) -> None:
    """Prints what two sides share, in what they differ, and their paired differences.

    Raises:
        NotFoundError: There is no such experiment or condition.
    """
    import qdexp_analysis

    found = qdexp_analysis.compare(one, other, runs)
    if as_json:
        typer.echo(plain_json(_data(found)))
        return
    typer.echo(f"A: {one}: {found.experiments[0].question}")
    typer.echo(f"B: {other}: {found.experiments[1].question}")
    typer.echo(f"{found.num_shared_trials} trials are the same in both.")
    if found.fields:
        typer.echo("\n" + aligned(("field", "A", "B"), found.fields))
    if found.rows:
        header = ("metric", "condition", "A", "B", "B against A", "95 % interval", "seeds")
        typer.echo("\n" + aligned(header, [_row(found, row) for row in found.rows]))
        typer.echo(
            "\n"
            + wrapped(
                "Paired by seed. Exploratory: no correction, no verdict; an experiment that states "
                "its primary metric before it runs can give one."
            )
        )
    if found.unmatched:
        typer.echo("\n" + wrapped(f"Nothing to subtract: {found.unmatched}"))
    for metric, reason in found.not_comparable:
        typer.echo(wrapped(f"not comparable: {metric}: {reason}"))


def _row(found: "Comparison", row: "Compared") -> list[str]:
    from qdexp_analysis.quantities import Differences, measured

    metric = found.experiments[0].metric(row.metric)
    write, estimate = Differences(row.contrast), row.contrast.estimate
    means = [measured(mean, metric) for mean in row.means]
    difference = write.text(estimate.mean) if estimate else ""
    interval = write.interval(estimate.interval) if estimate else ""
    return [row.metric, row.condition, *means, difference, interval, str(len(row.contrast.seeds))]


def _data(found: "Comparison") -> dict[str, object]:
    from qdexp_analysis.frames import estimated

    return {
        "a": found.names[0],
        "b": found.names[1],
        "num_shared_trials": found.num_shared_trials,
        "fields": [{"field": f, "a": a, "b": b} for f, a, b in found.fields],
        "rows": [
            {
                "metric": row.metric,
                "condition": row.condition,
                "a": row.means[0],
                "b": row.means[1],
                **estimated(row.contrast.estimate, row.contrast.baseline_mean),
            }
            for row in found.rows
        ],
        "not_comparable": [{"metric": m, "reason": why} for m, why in found.not_comparable],
        "unmatched": found.unmatched,
    }
