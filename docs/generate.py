"""Make again what the documentation takes from the code: `python docs/generate.py`.

With `--check` nothing is written, and the exit status is 1 if something would have changed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from api_reference import models_reference, operations_reference
from session import session_picture
from settings_reference import limits_reference, settings_reference

HERE = Path(__file__).parent
PARTS = {
    "settings": ("configuration.md", settings_reference),
    "limits": ("configuration.md", limits_reference),
    "operations": ("http-api.md", operations_reference),
    "models": ("http-api.md", models_reference),
}

WHOLE = {"session.svg": session_picture}


def main(*, check: bool) -> int:
    """The exit status."""
    changed = [path for path, text in made().items() if not path.exists() or read(path) != text]
    for path in changed:
        print(f"{path.name} is not as docs/generate.py makes it" if check else f"made {path.name}")
        if not check:
            path.write_text(made()[path], encoding="utf-8")
    return int(check and bool(changed))


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def made() -> dict[Path, str]:
    """Each file that is made, or has a part that is, as it should be."""
    files = {HERE / file: make() for file, make in WHOLE.items()}
    for name, (file, make) in PARTS.items():
        path = HERE / file
        files[path] = with_part(files.get(path) or read(path), name, make())
    return files


def with_part(text: str, name: str, part: str) -> str:
    """The text with what is between the marks of a part replaced."""
    start, end = f"<!-- {name}: made by docs/generate.py -->", f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(start)}.*{re.escape(end)}", re.DOTALL)
    assert pattern.search(text), f"no place for {name}"
    return pattern.sub(lambda _: f"{start}\n\n{part.strip()}\n\n{end}", text)


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv))
