"""What an experiment found, as a notebook shows it: the answer, and the verdicts in a table."""

from typing import Any

import jinja2

from qdexp_analysis.document import document
from qdexp_analysis.findings import Findings
from qdexp_analysis.search_document import search_document
from qdexp_analysis.search_findings import SearchFindings


def experiment_html(findings: Findings) -> str:
    """Returns a piece of HTML: question, warning, answer, verdicts. The report has the rest."""
    return _rendered("notebook.html.j2", document(findings))


def search_html(found: SearchFindings) -> str:
    """Returns a piece of HTML: question, warning, answer."""
    return _rendered("search_notebook.html.j2", search_document(found))


def _rendered(template: str, content: dict[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("qdexp_analysis"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(content)
