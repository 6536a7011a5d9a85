"""Simulates the null laws of the looks that specs can plan, and writes the analysis's file of them.

    python benchmarks/null_laws.py

It takes less than a minute, and writes the same file every time.
"""

import json
import sys

import numpy as np
from qdexp_analysis.null_law import FILE, GRID, key_of, simulated

from qdexp.experiment.looks import looks_between

NUM_DRAWS = 2_000_000
LEAST = range(2, 6)
MOST = 20


def main() -> None:
    """Writes the file and tells the levels of the default schedule."""
    schedules = [
        looks_between(least, most).schedule
        for least in LEAST
        for most in range(least + 1, MOST + 1)
    ]
    laws = simulated(schedules, NUM_DRAWS)
    content = {
        "about": f"made by benchmarks/null_laws.py from {NUM_DRAWS:,} experiments without effect: "
        "the chance that the smallest p over the looks is at most each of `p`",
        "p": [float(f"{p:.6g}") for p in GRID],
        "laws": {
            key_of(schedule): {
                f"{sides}-sided": [float(f"{chance:.4g}") for chance in chances]
                for sides, chances in of.items()
            }
            for schedule, of in laws.items()
        },
    }
    lines = json.dumps(content).replace(', "2-sided"', ',\n  "2-sided"').replace("}, ", "},\n ")
    FILE.write_text(lines + "\n", encoding="utf-8")
    for sides, chances in laws[looks_between(3, 12).schedule].items():
        nominal = np.exp(np.interp(np.log(0.05), np.log(chances), np.log(GRID)))
        sys.stdout.write(
            f"3, 5, 8, 12 seeds, {sides}-sided: p of 0.05 is p of {nominal:.4f} at a look\n"
        )


if __name__ == "__main__":
    main()
