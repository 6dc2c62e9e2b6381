"""Parts of a core: given by the kernel where it lets us, refused in one line where not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.quota import PERIOD_US, cpu_groups, limited
from benchmarks.servers import ServerFailed


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def groups_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text()


def test_a_process_is_held_to_its_share_and_let_go(child: subprocess.Popen[bytes]) -> None:
    before = groups_of(child.pid)
    try:
        with limited([child.pid], 0.25):
            assert f"bench-{child.pid}" in groups_of(child.pid)
            group = cpu_groups() / f"bench-{child.pid}"
            quota = [path.read_text() for path in group.glob("cpu.*") if path.name in QUOTAS]
            assert str(PERIOD_US // 4) in quota[0]
    except ServerFailed as error:
        pytest.skip(str(error))
    assert groups_of(child.pid) == before
    assert not group.exists()


QUOTAS = ("cpu.max", "cpu.cfs_quota_us")


def test_no_share_holds_nobody(child: subprocess.Popen[bytes]) -> None:
    before = groups_of(child.pid)
    with limited([child.pid], 0.0):
        assert groups_of(child.pid) == before


def test_where_there_are_no_groups_it_is_said(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    why = r"no share of a core can be set: .*No such file"
    with pytest.raises(ServerFailed, match=why), limited([1], 0.5, groups=nowhere):
        pytest.fail("nothing was limited")
