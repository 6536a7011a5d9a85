"""Where the trials of a run go: this process, this machine's own cluster, or one that runs."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from qdexp.errors import RequestError
from qdexp.execution.dispatch import MARKS, Dispatch, place_in, recall
from qdexp.results.driver_lock import is_in_use

if TYPE_CHECKING:
    from qdexp.execution.search_ports import SearchExecutor
    from qdexp.experiment.spec import Spec

ExecutorName = Literal["ray", "inline"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where trials go.

    Args:
        executor: ``ray`` or ``inline``.
        address: A running Ray cluster, ``HOST:PORT`` or ``auto``; None for one of this machine's.
        storage: The URI of a storage that files travel through, where nodes share no runs folder.
        variables: ``NAME`` or ``NAME=VALUE`` of environment variables that workers get.

    Raises:
        RequestError: These do not go together.
    """

    executor: ExecutorName = "ray"
    address: str | None = None
    storage: str | None = None
    variables: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.address and self.executor != "ray":
            raise RequestError(
                f"--address: expected --executor ray beside it, found {self.executor}"
            )
        if (self.storage or self.variables) and not self.address:
            raise RequestError(
                f"{'--storage' if self.storage else '--env'}: expected --address beside it, found "
                "none: on this machine workers have its folders and variables"
            )

    @contextmanager
    def executor_for(
        self, spec: "Spec", runs: Path, say: Callable[[str], None]
    ) -> "Generator[SearchExecutor]":
        """Lends the executor of a run, which keeps its cluster till the end.

        Args:
            spec: What runs.
            runs: The runs folder, absolute.
            say: Shows a line to people.

        Raises:
            RequestError: The storage cannot be used.
        """
        if self.executor == "inline":
            from qdexp.backends.inline import InlineExecutor  # noqa: PLC0415

            yield InlineExecutor(resources=spec.resources)
            return
        from qdexp.backends.ray_tune import RayTuneExecutor  # noqa: PLC0415 - it takes seconds

        if self.address is None:
            with RayTuneExecutor(storage=runs / "ray", resources=spec.resources) as executor:
                yield executor
            return
        with self._on_cluster(self.address, spec, runs, say) as executor:
            yield executor

    @contextmanager
    def _on_cluster(
        self, address: str, spec: "Spec", runs: Path, say: Callable[[str], None]
    ) -> "Generator[SearchExecutor]":
        from qdexp.backends.ray_tune import RayTuneExecutor, RunningCluster  # noqa: PLC0415

        uri = self.storage and place_in(self.storage, runs)
        dispatch = None
        if uri:
            from qdexp.backends.fsspec_storage import usable_storage  # noqa: PLC0415

            dispatch = Dispatch(runs, uri, usable_storage(uri), say)
        cluster = RunningCluster(
            address,
            runs=runs,
            storage=uri,
            trainable=spec.trainable,
            variables=self.variables,
            say=say,
        )
        with RayTuneExecutor(
            storage=runs / "ray", resources=spec.resources, cluster=cluster, dispatch=dispatch
        ) as executor:
            yield executor


def take_back(runs: Path, say: Callable[[str], None]) -> None:
    """Takes back what interrupted trials left in a storage, unless a driver is at work there.

    Raises:
        RequestError: The storage cannot be read.
    """
    if not (runs / MARKS).is_dir() or is_in_use(runs):
        return
    from qdexp.backends.fsspec_storage import FsspecStorage  # noqa: PLC0415

    if number := recall(runs, FsspecStorage):
        say(f"took the files of {number} interrupted trials back from the storage")
