"""Memory of devices in pages of 2 MiB, where Linux has such (6.1 and later).

The objects of a device lie on dozens of small pages, and of thousands of devices none is in the
processor's table of pages when its sound is due: a refill then waits for the table more than for
memory (docs/performance.md, "Large pages"). Whole ranges of 2 MiB are made one page each, in a
thread, a few at a time. A range counts if nearly all of it is resident, so that memory does not
grow. The C library's heap is left alone: `process.heap` gives parts of it back.

Systems, containers and kernels that refuse it are left as they are, without a word.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import trio

RANGE_BYTES = 2 * 1024 * 1024
PROC = Path("/proc/self")
EVERY_S = 2.0
MOST = 4
"""Ranges that are joined in a step. One takes 0.3 ms, in which no memory can be mapped."""

_SMALL_BYTES = 4096
_SMALL_PAGES = RANGE_BYTES // _SMALL_BYTES
_FULL = _SMALL_PAGES * 31 // 32
_COLLAPSE = 25
"""MADV_COLLAPSE, which Python's `mmap` does not have."""

_ENTRY_BYTES = 8
_PRESENT = 0x80
"""In the last byte of an entry of /proc/self/pagemap."""


class HugePages:
    """The ranges of this process that were joined, or could not be."""

    def __init__(self) -> None:
        self._tried: set[int] = set()

    def join_some(self) -> int:
        """Join up to `MOST` ranges; return how many were. Raises nothing."""
        try:
            return self._join_some()
        except OSError:
            return 0

    def _join_some(self) -> int:
        joined = tried = 0
        ranges = set(_ranges())
        self._tried &= ranges
        with (PROC / "pagemap").open("rb", buffering=0) as pagemap:
            for start in sorted(ranges - self._tried):
                if tried == MOST:
                    break
                pagemap.seek(start // _SMALL_BYTES * _ENTRY_BYTES)
                entries = pagemap.read(_SMALL_PAGES * _ENTRY_BYTES)
                if sum(entry >= _PRESENT for entry in entries[_ENTRY_BYTES - 1 :: 8]) >= _FULL:
                    tried += 1
                    self._tried.add(start)
                    joined += _madvise()(start, RANGE_BYTES, _COLLAPSE) == 0
        return joined


def _ranges() -> Iterator[int]:
    """Yield the aligned ranges in memory that belongs to no file and has no name."""
    for line in (PROC / "maps").read_text().splitlines():
        addresses, mode, *_, inode_or_name = line.split()
        if mode == "rw-p" and inode_or_name == "0":
            first, end = (int(address, 16) for address in addresses.split("-"))
            first = -(-first // RANGE_BYTES) * RANGE_BYTES
            yield from range(first, end - RANGE_BYTES + 1, RANGE_BYTES)


@cache
def _madvise() -> Any:
    function = ctypes.CDLL(None).madvise
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function


async def keep_huge_pages() -> NoReturn:
    """Join the ranges that have filled up, until cancelled."""
    pages = HugePages()
    while True:
        await trio.sleep(EVERY_S)
        await trio.to_thread.run_sync(pages.join_some, abandon_on_cancel=True)
