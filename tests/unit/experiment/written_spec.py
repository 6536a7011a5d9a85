"""A spec that is good, for tests to change."""

from pathlib import Path

GOOD = """\
name: sizes
question: Does size matter?
preset: tiny
set:
  training.max_steps: 50
factors:
  model.num_embeddings: {levels: [64, 128], baseline: 64}
  diffusion.min_step: {levels: [20, 50], baseline: 20}
where: diffusion.min_step < diffusion.max_step
seeds: 2
metrics:
  primary: eval.denoising_loss
  secondary: [eval.perplexity]
  smallest_effect: 0.5%
resources: {cpus: 1, gpus: auto}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return path
