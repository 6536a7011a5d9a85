"""The figures of codebook health, each with its words."""

import numpy as np

from qdexp.config.metric import Metric
from qdexp_analysis.appearance import INK, Look, draw
from qdexp_analysis.comparability import scores
from qdexp_analysis.figure_words import listed, some_of_all
from qdexp_analysis.figures import bounded_values, levels_label
from qdexp_analysis.figures_codes import shares_by_rank, use_by_bucket
from qdexp_analysis.findings import Findings
from qdexp_analysis.language import say
from qdexp_analysis.picture import Picture
from qdexp_analysis.quantities import measured, number
from qdexp_analysis.shown import MOST_LINES, MOST_ROWS, telling


def code_pictures(findings: Findings, look: tuple[Look, ...]) -> list[Picture | None]:
    """Draws what is known of the codes on held-out tokens."""
    if findings.experiment.is_own:
        return []
    return [_use(findings, look), _shares(findings, look), _by_bucket(findings, look)]


def _use(findings: Findings, look: tuple[Look, ...]) -> Picture | None:
    experiment = findings.experiment
    usage = scores(experiment, "eval.codebook_usage").means
    perplexity = scores(experiment, "eval.perplexity").means
    if np.isnan(usage).all() or np.isnan(perplexity).all():
        return None
    codes, tokens = np.array(_sizes(findings), dtype=float), _tokens(findings)
    if len(set(tokens)) > 1:  # both are bounded by what was counted
        return None
    shown = list(telling(findings, MOST_ROWS))
    chosen = [look[k] for k in shown]
    bounds = np.minimum(codes, tokens)
    figure, (left, right) = draw(0.9 + 0.3 * len(chosen), num_columns=2)
    bounded_values(left, 100 * usage[shown], 100 * (bounds / codes)[shown], chosen)
    bounded_values(right, perplexity[shown], bounds[shown], chosen)
    left.set_xticks([0, 50, 100])
    left.set_xlim(0, 112)
    left.set_title(say("Codes used, %"), color=INK)
    right.set_title(say("Perplexity, codes"), color=INK)
    right.tick_params(labelleft=False)
    metrics = [experiment.metric(name) for name in ("eval.codebook_usage", "eval.perplexity")]
    return Picture(
        name="codes",
        section="codebook",
        title=say("Codebook usage and perplexity against their bound"),
        caption=say(
            "By {heading}. Dots are trials, the bar their mean, the tick the most that "
            "is possible: the smaller of the codebook's size and the {tokens:,} held-out "
            "tokens counted.",
            heading=experiment.labels.heading,
            tokens=tokens[0],
        )
        + some_of_all(len(shown), len(look)),
        text=_use_text(look, shown, (usage, perplexity, bounds), metrics),
        figure=figure,
    )


def _use_text(
    look: tuple[Look, ...],
    shown: list[int],
    values: tuple[np.ndarray, np.ndarray, np.ndarray],
    metrics: list[Metric],
) -> str:
    usage, perplexity, bounds = values
    return listed(
        [
            say(
                "{label}: {usage} of the codes used, perplexity {perplexity} of at most "
                "{bounds:,.0f}",
                label=look[k].label,
                usage=measured(_mean(usage[k]), metrics[0]),
                perplexity=measured(_mean(perplexity[k]), metrics[1]),
                bounds=bounds[k],
            )
            for k in shown
            if np.isfinite(usage[k]).any() and np.isfinite(perplexity[k]).any()
        ]
    )


def _shares(findings: Findings, look: tuple[Look, ...]) -> Picture | None:
    found = findings.code_shares
    if found is None:
        return None
    shown = list(telling(findings, MOST_LINES))
    figure, (axes,) = draw(2.7)
    sizes = _sizes(findings)
    shares_by_rank(
        axes, found.ranks, found.shares[shown], [look[k] for k in shown], [sizes[k] for k in shown]
    )
    axes.set_xlabel(say("code, the most used first"))
    axes.set_ylabel(say("share of the tokens"))
    first = found.shares[:, :, 0]
    known = [k for k in shown if np.isfinite(first[k]).any()]
    return Picture(
        name="code-shares",
        section="codebook",
        title=say("How evenly the codes are used"),
        caption=say(
            "The share of the held-out tokens that each code has. A line ends where no "
            "code is used any more; dotted: all codes used alike. Line: mean over seeds. "
            "Band: over seeds."
        )
        + some_of_all(len(shown), len(look)),
        text=listed(
            [
                say(
                    "{label}: the most used code has {most} % of the tokens, alike they would "
                    "have {alike} % each",
                    label=look[k].label,
                    most=number(100 * float(np.nanmean(first[k]))),
                    alike=number(100 / sizes[k]),
                )
                for k in known
            ]
        ),
        figure=figure,
    )


def _by_bucket(findings: Findings, look: tuple[Look, ...]) -> Picture | None:
    found = findings.codes_by_bucket
    if found is None or len(found.log_snr) < 2:
        return None
    shown = list(telling(findings, MOST_LINES))
    chosen = [look[k] for k in shown]
    figure, (above, below) = draw(3.6, num_rows=2)
    use_by_bucket(above, found.log_snr, 100 * found.usage[shown], chosen)
    use_by_bucket(below, found.log_snr, found.perplexity[shown], chosen, is_labelled=True)
    above.set_ylabel(say("codes used, %"))
    above.tick_params(labelbottom=False)
    below.set_ylabel(say("perplexity, codes"))
    below.set_xlabel(levels_label())
    known = [k for k in shown if np.isfinite(found.perplexity[k]).any()]
    return Picture(
        name="codes-by-timestep",
        section="codebook",
        title=say("Codebook use by timestep"),
        caption=say(
            "Held-out tokens in {number} groups of neighbouring noise levels, each with "
            "its share of the tokens, and so with a lower bound than all together. Line: "
            "mean over seeds. Band: over seeds.",
            number=len(found.log_snr),
        )
        + some_of_all(len(shown), len(look)),
        text=listed(
            [
                say(
                    "{label}: perplexity {noisy} at most noise, {clean} at least",
                    label=look[k].label,
                    noisy=number(_mean(found.perplexity[k, :, 0])),
                    clean=number(_mean(found.perplexity[k, :, -1])),
                )
                for k in known
            ]
        ),
        figure=figure,
    )


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values))


def _sizes(findings: Findings) -> list[int]:
    """Returns the number of codes of every condition."""
    experiment = findings.experiment
    every = range(len(experiment.conditions))
    return [experiment.records_at(k)[0].trial.ours.model.num_embeddings for k in every]


def _tokens(findings: Findings) -> list[int]:
    """Returns the number of held-out tokens counted by every condition."""
    experiment = findings.experiment
    every = range(len(experiment.conditions))
    return [experiment.records_at(k)[0].trial.ours.evaluation.codebook_tokens for k in every]
