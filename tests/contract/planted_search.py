"""A search over planted effects as a file: each of its users adds a budget, and perhaps a check."""

PLANTED = """\
name: planted
question: Which settings make the fewest errors?
trainable: planted_trainables:plant
space:
  big: {low: 0.0, high: 1.0}
  key: {low: 0.0, high: 1.0}
  lock: {low: 0.0, high: 1.0}
metrics: {primary: error, smallest_effect: 1%}
sampler: {name: random, seed: 0}
enqueue: [{big: 1.0, key: 1.0, lock: 1.0}]
workers: 2
"""
