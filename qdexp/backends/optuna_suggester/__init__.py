"""Optuna: what suggests configurations of a search, and what shows its studies."""

from qdexp.backends.optuna_suggester.location import study_url, url_of_file
from qdexp.backends.optuna_suggester.mirror import OptunaStudyMirror
from qdexp.backends.optuna_suggester.suggester import OptunaSuggester, suggester_for

__all__ = ["OptunaStudyMirror", "OptunaSuggester", "study_url", "suggester_for", "url_of_file"]
