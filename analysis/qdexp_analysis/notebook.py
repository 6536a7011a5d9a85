"""What an experiment found, as a notebook shows it: the answer, and the verdicts in a table."""

from typing import Any

import jinja2

from qdexp_analysis.document import document
from qdexp_analysis.findings import Findings


def experiment_html(findings: Findings) -> str:
    """Returns a piece of HTML: question, warning, answer, verdicts. The report has the rest."""
    content: dict[str, Any] = document(findings)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("qdexp_analysis"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("notebook.html.j2").render(content)
