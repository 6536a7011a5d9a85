"""Optuna: what suggests configurations of a search, and what shows its studies."""

from qdexp.backends.optuna_suggester.mirror import OptunaStudyMirror, check_url
from qdexp.backends.optuna_suggester.suggester import OptunaSuggester, suggester_for

__all__ = ["OptunaStudyMirror", "OptunaSuggester", "check_url", "suggester_for"]
