"""Sphinx: ``pip install '.[docs]' && sphinx-build -W docs docs/_build``."""

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

project = "lwm2m-engine"
extensions = ["myst_parser"]
exclude_patterns = ["_build", "explanation/*-exchange.md"]
html_theme = "alabaster"
myst_heading_anchors = 3


def setup(app: Sphinx) -> None:
    # Pygments knows no CSV.
    app.add_lexer("csv", TextLexer)
