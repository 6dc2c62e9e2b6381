"""How help pages look: columns in line, and nothing drawn round them."""

from __future__ import annotations

from cyclopts.help import DefaultFormatter, PanelSpec
from rich.box import Box

_NOTHING = Box("    \n" * 8)

HELP_FORMATTER = DefaultFormatter(
    panel_spec=PanelSpec(box=_NOTHING, padding=(0, 0), title_align="left", expand=False)
)
