"""The check of a search's best on fresh seeds: an ordinary experiment that follows from it."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qdexp.api.composition import Audience, RunOptions, carry_out, dataset_of, nobody, refreshed
from qdexp.experiment.counting import counted
from qdexp.experiment.derived import Source
from qdexp.experiment.reader import spec_of
from qdexp.results.confirmation import Confirmation, confirmation
from qdexp.results.derived_files import derived_file
from qdexp.results.ledger import Ledger
from qdexp.results.suggestions import suggestions_of

if TYPE_CHECKING:
    from qdexp.execution.conduct import Conducted
    from qdexp.experiment.search_spec import SearchSpec
    from qdexp.experiment.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """What the check of a search's best did.

    Args:
        experiment: The name of the experiment that checks.
        file: Its spec.
        numbers: The suggestions that it compares with the baseline, the best in the search first.
        conducted: What its run did, and its report if one was wanted.
    """

    experiment: str
    file: Path
    numbers: tuple[int, ...]
    conducted: "Conducted"


def confirm(
    search: "SearchSpec",
    runs: Path,
    options: RunOptions,
    *,
    with_report: bool = True,
    listening: Callable[[], AbstractContextManager[Audience]] = nobody,
    interrupting: Callable[[], AbstractContextManager[None]] | None = None,
) -> Confirmed | None:
    """Runs what is missing of the check of a search's best.

    Args:
        search: The search, which says how many are checked and on which seeds.
        runs: The runs folder, absolute.
        options: How trials are run.
        with_report: Whether the check gets its report.
        listening: Lends who hears of it.
        interrupting: Makes signals an interruption; `signals_interrupt` unless given.

    Returns:
        What was done; None if no check is asked for, or no suggestion is complete.

    Raises:
        InterruptedRunError: A signal stopped it; the same call goes on from there.
        RequestError: The resources asked for do not exist, or the folder cannot be written.
    """
    made = confirmation_of(search, runs)
    if not made:
        return None
    file = derived_file(runs, made.name)
    asked = spec_of(made.text, file)
    done = carry_out(
        asked,
        runs,
        options,
        report=partial(refreshed, made.name, runs) if with_report else None,
        listening=partial(_announced, _announcement(asked, made, runs), listening),
        interrupting=interrupting,
    )
    return Confirmed(experiment=made.name, file=file, numbers=made.numbers, conducted=done)


def _announcement(asked: "Spec", made: Confirmation, runs: Path) -> str:
    """Returns what begins after a search: ``confirming the best 3 on seeds 7, 8: 8 trials``."""
    from qdexp.execution.planning import plan_of

    with Ledger(runs) as ledger:
        to_run = plan_of(asked, ledger, dataset_of(runs)).to_run
    which = "the best" if len(made.numbers) == 1 else f"the best {len(made.numbers)}"
    seeds = "seed" if len(asked.seeds) == 1 else "seeds"
    on = f"{seeds} {', '.join(map(str, asked.seeds))}"
    return f"confirming {which} on {on}: {counted(len(to_run), 'trial')}" if to_run else ""


@contextmanager
def _announced(
    text: str, listening: Callable[[], AbstractContextManager[Audience]]
) -> Generator[Audience]:
    """Lends the audience of a search's confirmation, once it has heard that this begins."""
    with listening() as audience:
        if text:
            audience.say(text)
        yield audience


def confirmation_of(search: "SearchSpec", runs: Path) -> Confirmation | None:
    """Returns the check of a search's best, or None if none is asked for or nothing is complete."""
    if search.confirm is None:
        return None
    source = Source(
        definition=search.definition(),
        baseline=search.baseline.fields(),
        folder=str(Path(search.spec.file).absolute().parent),
    )
    with Ledger(runs) as ledger:
        return confirmation(source, suggestions_of(ledger, search.name))
