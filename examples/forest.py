"""A training of one's own: a random forest on handwritten digits. No torch, no video."""

import pydantic
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

import qdexp


class ForestConfig(pydantic.BaseModel):
    trees: int = pydantic.Field(default=50, ge=1, le=1000)
    depth: int | None = pydantic.Field(default=8, ge=1)
    test_share: float = pydantic.Field(default=0.3, gt=0, lt=1)


@qdexp.trainable(
    configuration=ForestConfig,
    metrics=[qdexp.Metric(name="error", direction="lower", defined_by=("test_share",))],
    num_steps=lambda config: config.trees,
    revision=1,
)
def forest(trial: qdexp.OwnTrial[ForestConfig], _workspace: qdexp.Workspace) -> qdexp.Reports:
    config = trial.configuration
    x, y = load_digits(return_X_y=True)
    # The seed alone decides the split, so that all conditions of a seed are tested on the same.
    split = train_test_split(x, y, test_size=config.test_share, random_state=trial.seed)
    train_x, test_x, train_y, test_y = split
    model = RandomForestClassifier(
        max_depth=config.depth, random_state=trial.seed, warm_start=True, n_jobs=1
    )
    error = 1.0
    for step in sorted({*range(10, config.trees, 10), config.trees}):
        model.set_params(n_estimators=step).fit(train_x, train_y)
        error = 1 - float(model.score(test_x, test_y))
        yield qdexp.Progress(step=step, num_steps=config.trees, measurements={"error": error})
    yield trial.completed(step=config.trees, measurements={"error": error})
