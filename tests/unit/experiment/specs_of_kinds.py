"""A small spec of every kind as plain data, right as it is, with what reads it."""

from collections.abc import Callable, Mapping
from typing import Any

from qdexp.experiment.reader import read_spec
from qdexp.experiment.search_reader import read_search

SMALL = {
    "name": "small",
    "question": "What does the codebook do?",
    "preset": "tiny",
    "set": {"training.max_steps": 20, "model.patch_size": [1, 1, 1]},
    "factors": {
        "model.num_embeddings": {"levels": [64, 128], "baseline": 64},
        "model.commitment_cost": {
            "levels": [0.25, 0.5],
            "baseline": 0.25,
            "when": "model.num_embeddings > 64",
        },
        "model.quantizer": {"levels": ["ema", "gradient"], "baseline": "ema"},
    },
    "zip": [["model.num_embeddings", "model.quantizer"]],
    "where": "model.num_embeddings < 200",
    "conditions": [{"model.num_embeddings": 128, "model.quantizer": "ema"}],
    "seeds": {"until_decided": True, "min": 3, "max": 8},
    "controls": ["twin"],
    "metrics": {
        "primary": "eval.denoising_loss",
        "smallest_effect": "0.5%",
        "secondary": ["eval.perplexity"],
    },
    "resources": {"cpus": 1, "gpus": "auto", "processes": 1, "retries": 0},
    "budget": {"trial": "30 min"},
}

LISTED = {
    key: part for key, part in SMALL.items() if key not in ("zip", "where", "seeds", "controls")
} | {
    "factors": {
        "model.num_embeddings": {"levels": [64, 128], "baseline": 64},
        "model.commitment_cost": {"levels": [0.25, 0.5], "baseline": 0.25},
    },
    "design": "listed",
    "conditions": [{"model.num_embeddings": 128}, {"model.commitment_cost": 0.5}],
    "seeds": [0, 1],
}
CONFIRMING = LISTED | {"confirms": {"search": "wide", "suggestions": [4, 2]}}
WALKING = LISTED | {
    "path": {
        "search": "wide",
        "suggestion": 4,
        "racing": True,
        "seeds": [0, 1, 2],
        "rounds": [
            {
                "candidates": [["model.num_embeddings"], ["model.commitment_cost"]],
                "kept": ["model.commitment_cost"],
            },
            {"candidates": [["model.num_embeddings"]]},
        ],
    }
}

SEARCH = {key: SMALL[key] for key in ("name", "question", "preset", "metrics", "resources")} | {
    "set": {"training.max_steps": 20, "evaluation.curve_steps": [5, 10]},
    "space": {
        "model.num_embeddings": {"choices": [64, 128]},
        "model.commitment_cost": {"low": 0.05, "high": 1.0, "log": True},
        "model.dead_code_threshold": {
            "low": 0,
            "high": 1,
            "step": 1,
            "when": "model.num_embeddings > 64",
        },
    },
    "where": "model.num_embeddings < 200",
    "sampler": {"name": "tpe", "seed": 1, "n_startup_trials": 4, "group": True},
    "enqueue": [{"model.num_embeddings": 128, "model.dead_code_threshold": 0}],
    "seeds": 2,
    "objectives": ["eval.denoising_loss", "cost.step_seconds"],
    "budget": {"trials": 8, "hours": 1, "gpu_hours": 0.5, "trial": "30 min"},
    "pruning": {
        "kind": "asha",
        "metric": "eval.curve_denoising_loss",
        "steps": [5, 10],
        "reduction_factor": 2,
        "least": 2,
    },
    "confirm": {"top": 2, "seeds": [7, 8]},
    "workers": 1,
}

Read = Callable[[Mapping[str, Any]], object]
KINDS: dict[str, tuple[dict[str, Any], Read]] = {
    "ablation": (SMALL, read_spec),
    "check of a search": (CONFIRMING, read_spec),
    "path": (WALKING, read_spec),
    "search": (SEARCH, read_search),
}
