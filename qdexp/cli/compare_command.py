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
        typer.echo("\n" + _table(found))
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
    for sentence in _mixed(found):
        typer.echo("\n" + wrapped(sentence))
    if found.pooled:
        typer.echo("\n" + _pooled(found))


def _table(found: "Comparison") -> str:
    """Returns every row; what is compared stands above them where it is the same for all."""
    header = ["metric", "condition", "A", "B", "B against A", "95 % interval", "seeds"]
    rows = [_row(found, row) for row in found.rows]
    compared = {row.condition for row in found.rows}
    if len(compared) > 1:
        return aligned(header, rows)
    without = [[metric, *rest] for metric, _, *rest in (header, *rows)]
    return f"{compared.pop()}:\n{aligned(without[0], without[1:])}"


def _mixed(found: "Comparison") -> list[str]:
    from qdexp_analysis.mixing_words import sentences_of

    return sentences_of(found.mixtures, "side")


def _pooled(found: "Comparison") -> str:
    from qdexp_analysis.factor_words import pooled_row

    first = found.experiments[0]
    rows = [pooled_row(first.labels.text(each.condition), each) for each in found.pooled]
    header = ("condition", "gain", "95 % interval", "improvement", "95 % interval", "seeds")
    words = (
        f"Both data sets pooled, {first.primary} against each one's baseline: gain is the "
        "interquartile mean over seeds and data sets, improvement the chance that a run is better "
        "than one of the baseline (Agarwal et al., 2021). Exploratory."
    )
    return f"{wrapped(words)}\n{aligned(header, [list(row.values()) for row in rows])}"


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
        "mixed": _mixed(found),
        "pooled": [
            {
                "condition": found.experiments[0].labels.text(each.condition),
                "gain": each.gain.value,
                "gain_interval": each.gain.interval,
                "improvement": each.improvement.value,
                "improvement_interval": each.improvement.interval,
                "num_seeds": len(each.seeds),
            }
            for each in found.pooled
        ],
    }
