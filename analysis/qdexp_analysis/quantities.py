"""Quantities as text: significant digits, signs, units, p values, differences."""

import math

from qdexp.config.metric import Metric
from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.language import say

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"


def number(value: float | None, digits: int = 3) -> str:
    """Returns a number with so many significant digits, or a dash for one that is not known."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if not -4 <= exponent < 9:
        return f"{value:.{digits - 1}e}".replace("-", MINUS)
    text = f"{round(value, digits - 1 - exponent):,.{max(digits - 1 - exponent, 0)}f}"
    return text.replace("-", MINUS)


def signed(value: float | None, digits: int = 2) -> str:
    """Returns a number with its sign; 0 has none."""
    text = number(value, digits)
    return text if value is None or value <= 0 or not math.isfinite(value) else f"+{text}"


def p_text(p: float | None) -> str:
    """Returns a p value: ``0.003``, ``< 0.001``, or a dash."""
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else "1" if p > 0.995 else number(p, 2)


def p_after(p: float | None) -> str:
    """Returns a p value as it follows the letter: ``= 0.003``, ``< 0.001``."""
    text = p_text(p)
    return text if text.startswith("<") else f"= {text}"


def sentence_case(text: str) -> str:
    """Returns a text with its first letter large and the others as they are: ``FVD by ...``."""
    return text[:1].upper() + text[1:]


def measured(value: float | None, metric: Metric, digits: int = 3) -> str:
    """Returns a value of a metric with its unit: ``0.5120``, ``412 MB``, ``98.1 ms``.

    Plain numbers and counts have one digit more than `digits`.
    """
    if value is None or not math.isfinite(value):
        return NONE
    unit = metric.unit
    if unit == "B":
        return f"{number(value / 1e6, digits)} MB"
    if unit == "s" and abs(value) < 1:
        return f"{number(value * 1e3, digits)} ms"
    if metric.name.endswith("codebook_usage"):
        return f"{number(value * 100, digits)} %"
    text = number(value, digits + 1)
    return text if unit in ("numbers", "codes") else f"{text} {unit}".rstrip()


def changed_by(metric: Metric, change: float, write: "Differences") -> str:
    """Returns which way a metric changes and how far: ``denoising loss lower by 0.98 %``."""
    if change < 0:
        return say("{metric} lower by {size}", metric=metric.in_words, size=write.size(change))
    return say("{metric} higher by {size}", metric=metric.in_words, size=write.size(change))


class Differences:
    """Writes differences in percent of the baseline's mean, or plainly if that is not positive."""

    def __init__(self, contrast: Contrast) -> None:
        self.is_relative = contrast.baseline_mean > 0
        self.scale = 100 / contrast.baseline_mean if self.is_relative else 1.0
        self.unit = " %" if self.is_relative else ""
        limits = contrast.estimate.interval if contrast.estimate else None
        self._decimals: int | None = None
        if limits is not None:
            half = (limits[1] - limits[0]) / 2 * self.scale
            self._decimals = min(max(1 - math.floor(math.log10(half)), 0), 9)

    def text(self, value: float) -> str:
        """Returns a difference with its sign and unit."""
        return self._signed(value) + self.unit

    def size(self, value: float) -> str:
        """Returns a difference without its sign."""
        return self._signed(abs(value)).removeprefix("+") + self.unit

    def _signed(self, value: float) -> str:
        """Returns a difference to the second digit of its interval's half width."""
        if self._decimals is None:
            return signed(value * self.scale)
        text = f"{value * self.scale:+,.{self._decimals}f}"
        return text[1:] if float(text.replace(",", "")) == 0 else text.replace("-", MINUS)

    def interval(self, limits: tuple[float, float] | None, *, is_unsigned: bool = False) -> str:
        """Returns limits: ``0.4 to 1.0 %`` unsigned, from the smaller; else with signs."""
        if limits is None:
            return NONE
        low, high = limits
        if is_unsigned:
            low, high = sorted((abs(low), abs(high)))
            return self._between(low, high).replace("+", "")
        return self._between(low, high)

    def _between(self, low: float, high: float) -> str:
        return say(
            "{low} to {high}{unit}",
            low=self._signed(low),
            high=self._signed(high),
            unit=self.unit,
        )
