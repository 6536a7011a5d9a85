# pyright: basic
"""MLflow's experiments and runs by what they stand for: one of each, whatever was repeated.

MLflow gives a run its id itself, so a run is found by the tag that it was created with, in the same
transaction. Creating is never repeated blindly: after an answer that was lost, as after any other
creation, the runs with the tag are looked up, and of several one is kept.
"""

from collections.abc import Iterator, Mapping

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from mlflow.utils.rest_utils import http_request, verify_rest_response

from qdexp.backends.mlflow_tracker.entries import REPLACED, ROLE, TRIAL_ID, as_tags
from qdexp.backends.mlflow_tracker.location import Location

_CREATE = "/api/2.0/mlflow/runs/create"
_CREATE_SECONDS = 30
_PAGE = 1000  # MLflow's largest
_SEVERAL = 100


class RunBook:
    """Finds and creates runs.

    Args:
        client: MLflow's client of the location.
        location: Where it tracks.
    """

    def __init__(self, client: MlflowClient, location: Location) -> None:
        self._client = client
        self._location = location
        self.removed: list[tuple[Run, Run]] = []
        """Runs that were one too many, each with the one that was kept."""

    def experiment(self, name: str, tags: Mapping[str, str]) -> Experiment:
        """Returns the experiment of this name, made or restored if need be, with these tags.

        A note that begins with the same question, and goes on with a verdict, stays.
        """
        known = self._client.get_experiment_by_name(name) or self._created(name)
        if known.lifecycle_stage != "active":
            self._client.restore_experiment(known.experiment_id)
        for key, value in tags.items():
            if not known.tags.get(key, "").startswith(value):
                self._client.set_experiment_tag(known.experiment_id, key, value)
        return self._client.get_experiment(known.experiment_id)

    def parent(self, experiment_id: str) -> Run | None:
        """Returns the run that stands for the experiment, or None."""
        return self._kept([experiment_id], f"tags.`{ROLE}` = 'experiment'")

    def trial(self, trial_id: str) -> Run | None:
        """Returns the run of a trial, in whichever experiment it is, or None."""
        return self._kept(list(self._experiment_ids()), f"tags.`{TRIAL_ID}` = '{trial_id}'")

    def create(
        self, experiment_id: str, name: str, tags: Mapping[str, str], started_at: float
    ) -> None:
        """Creates a run once, or fails; the caller looks for it by its tags.

        MLflow's client asks a server again whose answer it did not get, and would have two then.

        Args:
            experiment_id: Where.
            name: As the table of runs calls it.
            tags: Its tags from the beginning.
            started_at: Seconds since 1970.
        """
        milliseconds = round(started_at * 1000)
        if not self._location.is_server:
            self._client.create_run(experiment_id, milliseconds, dict(tags), name)
            return
        named = {**tags, MLFLOW_RUN_NAME: name}
        content = {
            "experiment_id": experiment_id,
            "run_name": name,
            "start_time": milliseconds,
            "tags": [{"key": tag.key, "value": tag.value} for tag in as_tags(named)],
        }
        response = http_request(
            get_default_host_creds(self._location.address),
            _CREATE,
            "POST",
            max_retries=0,
            timeout=_CREATE_SECONDS,
            json=content,
        )
        verify_rest_response(response, _CREATE)

    def set_aside(self, run: Run, because: str) -> None:
        """Marks a run deleted, and says why in a tag; MLflow can restore it."""
        self._client.set_tag(run.info.run_id, REPLACED, because)
        self._client.delete_run(run.info.run_id)

    def _created(self, name: str) -> Experiment:
        artifacts = self._location.artifacts
        if artifacts is not None and self._location.database is not None:
            artifacts = artifacts / name  # other databases hold 200 characters of a run's folder
        try:
            made = self._client.create_experiment(name, artifacts and artifacts.as_uri())
        except MlflowException:  # another machine may have been faster
            known = self._client.get_experiment_by_name(name)
            if known is None:
                raise
            return known
        return self._client.get_experiment(made)

    def _experiment_ids(self) -> Iterator[str]:
        """Yields the experiments that may hold a trial: on a server, those of qdexp."""
        ours = None if self._location.database else f"tags.`{ROLE}` = 'experiment'"
        token = None
        while True:
            page = self._client.search_experiments(
                max_results=_PAGE, filter_string=ours, page_token=token
            )
            yield from (each.experiment_id for each in page)
            token = page.token
            if not token:
                return

    def _kept(self, experiment_ids: list[str], having: str) -> Run | None:
        """Returns the one run with a tag; if several have it, all but one are set aside.

        Whoever looks keeps the same one: one with an outcome, then the one with most numbers.
        """
        if not experiment_ids:
            return None
        found = list(
            self._client.search_runs(
                experiment_ids, having, run_view_type=ViewType.ACTIVE_ONLY, max_results=_SEVERAL
            )
        )
        found.sort(key=_preference)
        for surplus in found[1:]:
            kept = found[0].info.run_id
            self.set_aside(surplus, f"one run too many of its trial; run {kept} is kept")
            self.removed.append((surplus, found[0]))
        return found[0] if found else None


def _preference(run: Run) -> tuple[bool, int, str]:
    has_outcome = "qdexp.outcome" in run.data.tags
    return not has_outcome, -len(run.data.metrics), run.info.run_id
