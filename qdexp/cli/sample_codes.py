"""What `qdexp sample --analyze-codebook` says of the codes that samples went through."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qdexp.cli.tables import aligned
from qdexp.config.model_config import ModelConfig

if TYPE_CHECKING:
    import torch

    from qdexp.training.code_use import CodeSummary

CODES = "codebook.csv"
BY_TIMESTEP = "codebook_by_timestep.csv"
PICTURE = "codebook.png"

MOST_ROWS = 10
"""Timesteps that are printed; the file has all."""


class CodeReport:
    """Counts the codes of samples, and says how many are used, how evenly, and when.

    Args:
        config: The model's section.
        num_calls: Calls of the network for one sample.
    """

    def __init__(self, config: ModelConfig, num_calls: int) -> None:
        from qdexp.training.code_use import CodeUse

        self._use = CodeUse(config, num_calls)

    def add(self, by_call: "Sequence[torch.Tensor]") -> None:
        """Counts the codes (b, tt, hh, ww, q) that a batch had at every call."""
        self._use.add(by_call)

    def write(self, folder: Path, timesteps: Sequence[int]) -> list[str]:
        """Writes the counts and their pictures; returns what is printed."""
        from qdexp_analysis.sampled_codes import save_sampled_codes

        from qdexp.training.code_use import summary

        counts = self._use.by_code()
        by_call = [summary(each) for each in self._use.counts]
        _write_counts(folder / CODES, counts)
        header = ("timestep", "tokens", "codes used", "usage", "perplexity", "entropy, nats")
        rows = [(t, *_numbers(each)) for t, each in zip(timesteps, by_call, strict=True)]
        _write_rows(folder / BY_TIMESTEP, header, rows)
        save_sampled_codes(
            [tokens for codebook in counts for tokens in codebook],
            timesteps,
            [each.usage for each in by_call],
            [each.perplexity for each in by_call],
            folder / PICTURE,
        )
        whole = summary(self._use.counts.sum(dim=0))
        shown = sorted({round(i * (len(rows) - 1) / (MOST_ROWS - 1)) for i in range(MOST_ROWS)})
        printed = [_cells(timesteps[row], by_call[row]) for row in shown]
        return [aligned(header, [_cells("all", whole), *printed]), _bound(whole)]


def _numbers(found: "CodeSummary") -> tuple[float, ...]:
    return found.tokens, found.used, found.usage, found.perplexity, found.entropy


def _cells(label: object, found: "CodeSummary") -> tuple[str, ...]:
    return (
        str(label),
        f"{found.tokens:,}",
        f"{found.used:,}",
        f"{100 * found.usage:.3g} %",
        f"{found.perplexity:,.4g}",
        f"{found.entropy:.3f}",
    )


def _bound(whole: "CodeSummary") -> str:
    return (
        f"codes used and perplexity are at most {min(whole.codes, whole.tokens):,}, the smaller of "
        f"{whole.codes:,} codes and of the tokens counted; at one timestep these are fewer"
    )


def _write_counts(path: Path, counted: list[list[int]]) -> None:
    rows = [
        (codebook, code, count, count / max(sum(counts), 1))
        for codebook, counts in enumerate(counted)
        for code, count in enumerate(counts)
    ]
    _write_rows(path, ("codebook", "code", "tokens", "share"), rows)


def _write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
