"""The `qdexp` command: its options and its exit codes.

Exit codes: 0 every trial completed; 1 some did not, or the ledger or the disk failed; 2 the
request was wrong; 130 interrupted, resumable. Results go to stdout, everything else to stderr.
"""

import gc
import os
import sys
from typing import Annotated

import typer

from qdexp.cli import (
    cluster_commands,
    experiment_commands,
    ledger_commands,
    model_commands,
    search_commands,
)
from qdexp.cli.sample_arguments import sample
from qdexp.errors import InterruptedRunError, LedgerInUseError, QdexpError, RequestError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Ask questions of a quantized video diffusion model by ablation, and get answers "
    "whose verdicts carry their uncertainty.",
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(version("qdexp"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


for _command in (
    experiment_commands.run,
    experiment_commands.plan,
    search_commands.search,
    search_commands.ablate,
    model_commands.train,
    sample,
    experiment_commands.status,
    experiment_commands.show,
    experiment_commands.report,
    experiment_commands.compare,
    experiment_commands.schema,
    experiment_commands.ui,
    ledger_commands.bundle,
    ledger_commands.invalidate,
    cluster_commands.slurm,
    experiment_commands.doctor,
    model_commands.encode,
    model_commands.presets,
):
    app.command()(_command)

app.command("import")(ledger_commands.import_)


def main() -> None:
    """Runs the command line; errors that qdexp can explain become one message and an exit code."""
    try:
        app()
    except QdexpError as error:
        if os.environ.get("LOCAL_RANK", "0") == "0":  # torchrun's other processes would repeat it
            typer.echo(str(error), err=True)
        sys.exit(exit_code(error))
    finally:
        gc.freeze()  # else Python takes a second to collect what engines imported, and then ends


def exit_code(error: QdexpError) -> int:
    """Returns the exit code that stands for an error."""
    if isinstance(error, InterruptedRunError):
        return 130
    return 2 if isinstance(error, RequestError | LedgerInUseError) else 1
