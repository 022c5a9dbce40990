"""Sphinx: ``pip install '.[docs]' && sphinx-build -W docs docs/_build``."""

project = "lwm2m-engine"
extensions = ["myst_parser"]
exclude_patterns = ["_build", "explanation/*-exchange.md"]
html_theme = "alabaster"
myst_heading_anchors = 3
