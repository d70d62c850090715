"""The templates of pages and mails.

Must not know: HTTP, so that commands that send mails do not load the framework.
"""

from __future__ import annotations

from jinja2 import ChoiceLoader, Environment, PackageLoader

_environment = Environment(
    loader=ChoiceLoader([PackageLoader("oneself.auth.provider"), PackageLoader("oneself.web")]),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **values: object) -> str:
    """Return the text of a template."""
    return _environment.get_template(template).render(**values)
