"""A training of one's own: a random forest on handwritten digits. No torch, no video."""

import pydantic
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

import qdexp


class ForestConfig(pydantic.BaseModel):
    trees: int = pydantic.Field(default=40, ge=1, le=1000)
    depth: int | None = pydantic.Field(default=8, ge=1)
    held_out: int = pydantic.Field(default=797, ge=100, le=1000)


ERROR = qdexp.Metric(name="error", direction="lower", defined_by=("held_out",))


@qdexp.trainable(
    configuration=ForestConfig, metrics=[ERROR], revision=1, num_steps=lambda config: config.trees
)
def forest(trial: qdexp.OwnTrial[ForestConfig], _workspace: qdexp.Workspace) -> qdexp.Reports:
    config = trial.configuration
    x, y = load_digits(return_X_y=True)
    model = RandomForestClassifier(max_depth=config.depth, warm_start=True, random_state=trial.seed)
    error = 1.0
    for trees in [*range(10, config.trees, 10), config.trees]:
        model.set_params(n_estimators=trees).fit(x[: -config.held_out], y[: -config.held_out])
        error = 1 - float(model.score(x[-config.held_out :], y[-config.held_out :]))
        yield qdexp.Progress(step=trees, num_steps=config.trees, measurements={"error": error})
    yield trial.completed(step=config.trees, measurements={"error": error})
