"""How the documentation becomes a site: `nox -s docs` builds it into docs/_build."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

project = "Streaming Audio Server"
author = "the Streaming Audio Server authors"
version = release = PROJECT["version"]
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

html_theme = "furo"
html_title = f"{project} {version}"
html_logo = html_favicon = "../audio_server/web/static/icon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False

REMOTE = re.compile(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["']?(?:https?:)?//[^"'> ]+""")


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.connect("build-finished", refuse_remote_parts)


def refuse_remote_parts(app: Any, failure: Exception | None) -> None:
    """A page must be whole without a network: fail where one loads anything from elsewhere."""
    for page in [] if failure else Path(app.outdir).glob("**/*.html"):
        for found in REMOTE.findall(page.read_text(encoding="utf-8")):
            raise SystemExit(f"{page}: loaded from elsewhere: {found}")
