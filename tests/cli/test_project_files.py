"""What the files at the top promise each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder

from hatch_build import for_index

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = sorted(ROOT.glob("locks/*.txt"))


def readme_lines() -> list[str]:
    """The lines of the README that a user pastes into a shell on a new machine."""
    return re.findall(r"^python3 -m venv .*$", (ROOT / "README.md").read_text(), re.MULTILINE)


def test_ci_runs_the_readmes_test_line() -> None:
    run, test = readme_lines()
    assert run.endswith("audio-server")
    assert test.endswith("nox")
    assert (ROOT / ".ci/run").read_text().splitlines()[-1] == test


def test_the_workflow_runs_both_lines_on_every_python() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    prefix = "Programming Language :: Python :: 3."
    pythons = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if prefix in name]
    for job, script in (("test-line", ".ci/run"), ("run-line", ".ci/run-line")):
        assert jobs[job]["strategy"]["matrix"]["python"] == pythons
        assert jobs[job]["steps"][-1] == {"run": f"bash {script}"}
    assert f"SUPPORTED = {tuple(pythons)}".replace("'", '"') in (ROOT / "noxfile.py").read_text()


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.stem)
def test_links_between_files_lead_somewhere(page) -> None:
    links = re.findall(r"\]\((?!\w+:)([^)#]+)", page.read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def locked(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^(\S+)==(\S+)", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_locks_name_versions_and_hashes_and_no_place(path) -> None:
    text = path.read_text()
    assert len(locked(path)) == len(re.findall(r"^\S+==", text, re.MULTILINE)) > 0
    assert text.count("--hash=sha256:") >= len(locked(path))
    assert not re.search(r"://|--index|--find-links|^#.*/(home|root|tmp)/", text, re.MULTILINE)


def test_no_two_files_of_tests_have_one_name() -> None:
    """Pytest would take one for the other: their folders are no packages."""
    names = Counter(path.name for path in ROOT.glob("tests/*/*.py"))
    assert [name for name in names if names[name] > 1] == ["conftest.py"]


def test_locks_agree() -> None:
    versions: dict[str, str] = {}
    for path in LOCKS:
        for name, version in locked(path).items():
            assert versions.setdefault(name, version) == version, f"{name} in {path.name}"


def test_an_installed_server_has_its_clips(tmp_path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(wheel).namelist()
    clips = {name for name in names if name.startswith("audio_server/_clips/")}
    assert clips == {f"audio_server/_clips/{file.name}" for file in ROOT.glob("clips/*.opus")}
    assert len(clips) >= 5
    assert {"audio_server/py.typed", "audio_server/wire/comms.proto"} <= set(names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {
        "audio_server",
        "streaming_audio_server",
    }
    assert not [name for name in names if name.startswith(("tests", "clips", "benchmarks"))]


def test_a_wheel_works_without_the_clone(tmp_path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    home = {"HOME": str(tmp_path), "PYTHONPATH": str(tmp_path / "installed")}

    def say(*arguments: str) -> str:
        command = (sys.executable, "-m", "audio_server", *arguments)
        environment = {**os.environ, **home}
        return subprocess.check_output(command, cwd=tmp_path, env=environment, text=True)

    assert say("--version").strip() == PROJECT["version"]
    assert len(say("clips", "list").splitlines()) == 6
    assert say("proto") == (ROOT / "comms.proto").read_text()


def test_the_changelog_has_a_date_for_this_version() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text()
    unreleased, released = re.findall(r"^## \[(.*)\](.*)$", changes, re.MULTILINE)[:2]
    assert unreleased == ("Unreleased", "")
    assert released[0] == PROJECT["version"]
    assert re.fullmatch(r" - \d{4}-\d\d-\d\d", released[1])


README = """# Name

[here](docs/a.md#b) and [there](https://example.org/a) and [below](#name)

![a picture: of it](docs/a.png)

The end.
"""


def test_a_package_index_gets_no_link_that_leads_nowhere() -> None:
    text = for_index(README, "")
    assert "](docs" not in text
    assert text.endswith("here and [there](https://example.org/a) and [below](#name)\n\nThe end.\n")
    whole = for_index((ROOT / "README.md").read_text(), "")
    assert set(re.findall(r"\]\(([^)]*)\)", whole)) == {"https://trio.readthedocs.io"}


def test_a_package_index_gets_pictures_where_the_files_can_be_seen() -> None:
    text = for_index(README, "https://example.org/files/")
    assert "![a picture: of it](https://example.org/files/docs/a.png)" in text
    assert "[here](https://example.org/files/docs/a.md#b)" in text
    assert "[below](#name)" in text


def test_the_generated_modules_fit_the_locked_runtime() -> None:
    """protobuf refuses modules that are newer than itself."""
    generated = (ROOT / "audio_server/wire/comms_pb2.py").read_text()
    (made_with,) = re.findall(r"^# Protobuf Python Version: (\S+)$", generated, re.MULTILINE)
    runtime = locked(ROOT / "locks/run.txt")["protobuf"]
    assert tuple(map(int, made_with.split("."))) <= tuple(map(int, runtime.split(".")))
