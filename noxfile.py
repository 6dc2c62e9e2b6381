"""What is run on the project: `nox` runs lint, typecheck and tests; `nox --list` tells the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2026.2.9"
nox.options.error_on_missing_interpreters = False  # tests run on the Pythons that are there

SUPPORTED = ("3.11", "3.12", "3.13")
WIRE = "audio_server/wire"

# Groups of pyproject.toml in the order they are locked, and which need the package's own needs.
WITH_PROJECT = ("run", "tests", "typecheck", "api", "protos", "bench", "docs")
LOCKS = (*WITH_PROJECT, "lint", "deploy", "package", "nox", "lock")


def lock_of(group: str) -> str:
    """The file that holds the locked versions, with hashes, of one group."""
    return f"locks/{group}.txt"


def reach_pyenv() -> None:
    """Put the Pythons that pyenv has installed on the path, whether it has selected them or not."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for version in SUPPORTED:
        found = sorted(root.glob(f"versions/{version}.*/bin"))
        os.environ["PATH"] = os.pathsep.join([*map(str, found[-1:]), os.environ["PATH"]])


def works(version: str) -> bool:
    """Whether this Python is there: pyenv has commands that only say what is not."""
    command = shutil.which(f"python{version}")
    probe = [command or "false", "-c", "import ensurepip"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


reach_pyenv()
PYTHONS = [version for version in SUPPORTED if works(version)]


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format."""
    session.install("-r", lock_of("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session(python=False)
def frontend(session: nox.Session) -> None:
    """TypeScript, strict, over the pages' scripts, whose types are in comments; needs npm."""
    if shutil.which("npm") is None:
        session.skip("npm is not there (it comes with Node.js), which fetches TypeScript")
    session.chdir("tests/frontend")
    session.run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", external=True)
    session.run("node_modules/.bin/tsc", external=True)


@nox.session
def deploy(session: nox.Session) -> None:
    """Schemas of deploy/ and .github/; what deploy/ says of the server is among the tests."""
    session.install("-r", lock_of("deploy"))
    for schema, files in SCHEMAS.items():
        session.run("check-jsonschema", "--builtin-schema", schema, *files)
    for version in KUBERNETES:
        session.run("kubernetes-validate", "--strict", "-k", version, *MANIFESTS)
    session.run("python", ".ci/chart.py", *KUBERNETES)
    if shutil.which("promtool"):  # comes with Prometheus
        for check in PROMTOOL:
            session.run("promtool", *check, external=True)


SCHEMAS = {
    "vendor.compose-spec": ("deploy/compose.yaml", "deploy/cluster/compose.yaml"),
    "vendor.github-workflows": (".github/workflows/ci.yml",),
    "custom.github-workflows-require-timeout": (".github/workflows/ci.yml",),
    "vendor.dependabot": (".github/dependabot.yml",),
    "vendor.github-issue-config": (".github/ISSUE_TEMPLATE/config.yml",),
    "vendor.github-issue-forms": tuple(
        f".github/ISSUE_TEMPLATE/{n}.yml" for n in ("fault", "idea")
    ),
}
KUBERNETES = ("1.30", "1.37")  # the first that has preStop.sleep at once, and the newest
MANIFESTS = (
    *(f"deploy/kubernetes/{name}.yaml" for name in ("deployment", "service", "disruption")),
    "deploy/kubernetes/with-prometheus/autoscaler.yaml",
)
PROMTOOL = (
    ("check", "config", "--syntax-only", "deploy/prometheus/prometheus.yml"),
    ("check", "rules", "deploy/prometheus/alerts.yml"),
    ("test", "rules", "deploy/prometheus/alerts.test.yml"),
)


@nox.session
def package(session: nox.Session) -> None:
    """Build sdist and wheel, check them as an index would, and try the README's lines on them."""
    session.install("-r", lock_of("package"))
    made = Path(session.create_tmp(), "dist")
    shutil.rmtree(made, ignore_errors=True)
    session.run("uv", "build", "--quiet", "--out-dir", str(made))  # the wheel from the sdist
    (wheel,), (sdist,) = made.glob("*.whl"), made.glob("*.tar.gz")
    session.run("twine", "check", "--strict", str(wheel), str(sdist))
    session.run("check-wheel-contents", str(wheel))
    session.run("python", ".ci/package.py", str(wheel))


@nox.session
def typecheck(session: nox.Session) -> None:
    """Mypy, strict."""
    session.install("-r", lock_of("typecheck"))
    session.run("mypy")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Pytest on each supported Python that is there: all of it on the newest, with coverage."""
    session.install("-r", lock_of("tests"))
    session.install("--no-deps", "-e", ".")
    newest = session.python == PYTHONS[-1]
    command = ("coverage", "run", "-m", "pytest") if newest else ("pytest", *SLOW_AND_THE_SAME)
    session.env["PYTHONDONTWRITEBYTECODE"] = ""  # else each process compiles all anew
    if newest:
        session.env["COVERAGE_CORE"] = "ctrace" if session.python == "3.11" else "sysmon"
        session.run("coverage", "erase")
    asked, has_failed = session.posargs, False
    codes = [0, NO_TESTS] if asked else [0]  # those that are asked for may be of one kind
    for which in (["punctual", "--cache-clear"], ["not punctual", "--numprocesses=auto"]):
        try:
            session.run(*command, "-m", *which, *asked, success_codes=codes)
        except CommandFailed:
            has_failed = True
    # A core that is taken away for seconds looks like a slow server: a failure counts once it has
    # happened again, with no test beside it. Both are printed.
    if has_failed:
        session.warn("tests that failed are run once more, alone")
        session.run(*command, "--last-failed", *asked)
    if newest:
        session.run("coverage", "combine", "--quiet")
        session.run("coverage", "report")


NO_TESTS = 5

# What the interpreter has no part in, or what starts many processes of which others start one:
# browsers, proxies, benchmarks, codecs, command lines, texts, several servers on one machine.
SLOW_AND_THE_SAME = (
    "--ignore=tests/benchmarks",
    "--ignore=tests/cli/test_address_errors.py",
    "--ignore=tests/cli/test_backup_commands.py",
    "--ignore=tests/cli/test_clips_changes.py",
    "--ignore=tests/cli/test_clips_commands.py",
    "--ignore=tests/cli/test_completion.py",
    "--ignore=tests/cli/test_first_run.py",
    "--ignore=tests/cli/test_limit_settings.py",
    "--ignore=tests/cli/test_no_home.py",
    "--ignore=tests/cli/test_project_files.py",
    "--ignore=tests/cli/test_settings_layers.py",
    "--ignore=tests/client/test_client_process.py",
    "--ignore=tests/client/test_encodings.py",
    "--ignore=tests/client/test_odd_answers.py",
    "--ignore=tests/clips",
    "--ignore=tests/cluster/test_clips_of_servers.py",
    "--ignore=tests/cluster/test_faults_of_nodes.py",
    "--ignore=tests/cluster/test_fleet_of_processes.py",
    "--ignore=tests/cluster/test_machines_of_workers.py",
    "--ignore=tests/cluster/test_nodes.py",
    "--ignore=tests/cluster/test_primaries.py",
    "--ignore=tests/cluster/test_shared_clips.py",
    "--ignore=tests/cluster/test_shared_records.py",
    "--ignore=tests/cluster/test_state_import.py",
    "--ignore=tests/cluster/test_tokens_of_servers.py",
    "--ignore=tests/deploy",
    "--ignore=tests/docs",
    "--ignore=tests/faults/test_soak.py",
    "--ignore=tests/health/test_reflection.py",
    "--ignore=tests/identity/test_try_out.py",
    "--ignore=tests/interop/test_client_addresses.py",
    "--ignore=tests/interop/test_deployed_cluster.py",
    "--ignore=tests/interop/test_drain_of_a_node.py",
    "--ignore=tests/interop/test_fleet.py",
    "--ignore=tests/interop/test_proxies.py",
    "--ignore=tests/metrics/test_metrics_served.py",
    "--ignore=tests/process/test_dumb_terminals.py",
    "--ignore=tests/process/test_sd_notify.py",
    "--ignore=tests/process/test_standard_error.py",
    "--ignore=tests/service/test_behind_proxies.py",
    "--ignore=tests/simulator/test_contract.py",
    "--ignore=tests/simulator/test_device_command.py",
    "--ignore=tests/simulator/test_device_terminals.py",
    "--ignore=tests/state/test_crash.py",
    "--ignore=tests/state/test_inventory_crash.py",
    "--ignore=tests/structure",
    "--ignore-glob=tests/web/test_*_page.py",
    "--ignore-glob=tests/web/test_api_*.py",
    "--ignore=tests/web/test_behind_nginx.py",
    "--ignore=tests/web/test_bodies.py",
    "--ignore=tests/web/test_hostile_live.py",
    "--ignore=tests/web/test_http_fuzz.py",
    "--ignore=tests/web/test_many_tabs.py",
    "--ignore=tests/web/test_pages_for_all.py",
    "--ignore=tests/web/test_speak.py",
    "--ignore=tests/workers/test_groups_of_workers.py",
    "--ignore=tests/workers/test_live_processes.py",
    "--ignore=tests/workers/test_worker_server.py",
)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build; a warning is an error."""
    session.install("-r", lock_of("docs"))
    session.install("--no-deps", "-e", ".")
    session.run("python", "docs/generate.py", *session.posargs)
    session.run("sphinx-build", "-q", "-W", "--keep-going", "docs", "docs/_build")


@nox.session
def api(session: nox.Session) -> None:
    """Ask a server all that its OpenAPI document allows, and what it does not; about 10 s."""
    session.install("-r", lock_of("api"))
    session.install("--no-deps", "-e", ".")
    paths = os.pathsep.join((".", "tests"))
    script = ("python", "tests/web/try_api.py", "--max-examples=20")
    session.run(*script, *session.posargs, env={"PYTHONPATH": paths})


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure the server and its peers on the same devices; `-- --help` for the options."""
    session.install("-r", lock_of("bench"))
    session.install("--no-deps", "-e", ".")
    session.run("python", "-m", "benchmarks", *(session.posargs or BENCH_OPTIONS))


BENCH_OPTIONS = ("--tls=both", "--json=benchmarks.json", "--svg=docs/performance.svg")


@nox.session(default=False)
def cluster(session: nox.Session) -> None:
    """Kill nodes and engines under 1,000 devices; then a fleet of a million on paper."""
    session.install("-r", lock_of("bench"))
    session.install("--no-deps", "-e", ".")
    session.run("python", "-m", "benchmarks.cluster", *session.posargs)
    session.run("python", "-m", "benchmarks.million")


@nox.session(default=False)
def protos(session: nox.Session) -> None:
    """Generate the modules of comms.proto again; fails if that changes the tree."""
    session.install("-r", lock_of("protos"))
    outputs = [f"--{kind}_out=." for kind in ("python", "pyi", "grpclib_python")]
    protoc = ("python", "-m", "grpc_tools.protoc", "-I", f"{WIRE}=.", *outputs)
    session.run(*protoc, f"{WIRE}/comms.proto")
    session.run("git", "diff", "--exit-code", "--", WIRE, external=True)


@nox.session(default=False)
def image(session: nox.Session) -> None:
    """Build the container image, start it, run a scripted device on it; `-- BASE` for a base."""
    session.install("-r", lock_of("run"))
    session.install("--no-deps", ".")
    session.run("python", ".ci/image.py", *session.posargs)


@nox.session(default=False)
def soak(session: nox.Session) -> None:
    """500 devices, a tenth of them foes, for `-- MINUTES` (default 3); ends with a verdict."""
    session.install("-r", lock_of("tests"))
    session.install("--no-deps", "-e", ".")
    session.run("python", "tests/faults/soak.py", *session.posargs, env={"PYTHONPATH": "."})


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Make locks/ again from pyproject.toml; `-- --upgrade` takes the newest versions."""
    session.install("-r", lock_of("lock"))
    for group in LOCKS:
        what = ["pyproject.toml"] if group in WITH_PROJECT else []
        what += [] if group == "run" else ["--group", group]
        what += [] if group == "run" else ["--constraints", lock_of("run")]
        session.run("uv", "pip", "compile", *what, *LOCK_OPTIONS, "-o", lock_of(group))


LOCK_OPTIONS = (
    "--universal",
    f"--python-version={SUPPORTED[0]}",
    "--generate-hashes",
    "--no-config",  # a machine's own indexes are nobody else's
    "--no-header",  # it would hold the command line, and with it paths
    "--annotation-style=line",
    "--quiet",
)
