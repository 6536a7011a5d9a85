"""Optuna: what suggests configurations of a search, and what shows its studies."""

from qdexp.backends.optuna_suggester.mirror import OptunaStudyMirror
from qdexp.backends.optuna_suggester.suggester import OptunaSuggester, suggester_for

__all__ = ["OptunaStudyMirror", "OptunaSuggester", "suggester_for"]
