"""Optuna: what suggests configurations of a search, and what shows its studies."""

__all__: list[str] = []
import optuna

__all__ = ["optuna"]
