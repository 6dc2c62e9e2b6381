"""Files that are written and replaced in one step, within one folder. Everything here blocks.

Not every file system has each measure that makes a change safe: exFAT and many network and FUSE
mounts have no hard links, some cannot fsync a folder, some have no locks. Such a measure is taken
where it can be had. Its absence is no error, since the change itself can be made.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Self
from uuid import uuid4

LOCK_RETRY_S = 0.02
"""Locks are polled, since waiting for one in the system could not be given a deadline."""

NAME_MAX_BYTES = 255
"""How long a name may be on about every file system."""

_PART = re.compile(r"\.[0-9a-f]{32}\.part")

NOT_SUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
"""How a file system answers a call that it does not have."""


def is_plain(name: str) -> bool:
    """Return whether a name means an entry of a folder, and nothing outside of it."""
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name


def hidden_name() -> str:
    """Return a new name for a file that is not complete, or not needed any longer."""
    return f".{uuid4().hex}.part"


def is_part(name: str) -> bool:
    """Return whether a name is one of `hidden_name`."""
    return _PART.fullmatch(name) is not None


class OpenFolder:
    """A folder whose entries are read and changed by name, also if its path changes meanwhile.

    Links in the folder are never followed: a link is renamed, replaced or removed itself. Methods
    raise `OSError`, and `ValueError` for a name that is not plain, which is the caller's fault.
    """

    def __init__(self, path: Path) -> None:
        """Open the folder at `path`, which may be a link to one. Raises `OSError`."""
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder, which releases its lock too."""
        os.close(self._fd)

    def entries(self) -> list[os.DirEntry[str]]:
        """Return all entries, hidden ones too. They are looked at while the folder is open."""
        with os.scandir(self._fd) as entries:
            return list(entries)

    def names(self) -> set[str]:
        """Return the names of all entries, hidden ones too."""
        return {entry.name for entry in self.entries()}

    def version(self, name: str) -> tuple[int, ...]:
        """Return numbers that differ after a change of the folder's names, or of one file in it."""
        times = (os.fstat(self._fd).st_mtime_ns,)
        try:
            status = os.lstat(_plain(name), dir_fd=self._fd)
        except FileNotFoundError:
            return times
        return *times, status.st_ino, status.st_mtime_ns, status.st_size

    def holds(self, name: str) -> bool:
        """Return whether there is an entry of this name, be it a dangling link."""
        try:
            os.lstat(_plain(name), dir_fd=self._fd)
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the content of a regular file. Raises `OSError` for anything else, links
        included, and for a file of more than `max_bytes`."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        fd = os.open(_plain(name), flags, dir_fd=self._fd)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "Not a regular file", name)
            if status.st_size > max_bytes:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), name)
            with os.fdopen(fd, "rb", closefd=False) as file:
                # Not more at once than there is: memory is taken for all that is asked for.
                return file.read(status.st_size)
        finally:
            os.close(fd)

    def write(self, name: str, data: bytes, *, mode: int = 0o666, durable: bool = True) -> None:
        """Put `data` into a file, which holds either that or its previous content. Readers never
        see a part. `durable` has it survive a power cut, as far as the file system can."""
        part = self.write_part(data, mode=mode, durable=durable)
        try:
            self.rename(part, name)
        except BaseException:
            self.discard(part)
            raise
        if durable:
            self.flush()

    def create(self, name: str, data: bytes, *, mode: int = 0o666) -> None:
        """Make a file that holds `data`. Raises `FileExistsError`, with nothing changed."""
        part = self.write_part(data, mode=mode)
        try:
            self.publish(part, name)
        except BaseException:
            self.discard(part)
            raise

    def write_part(self, data: bytes, *, mode: int = 0o666, durable: bool = True) -> str:
        """Write `data` to a new file with a hidden name, and return that name. If it cannot be
        written whole, nothing is left behind."""
        part = hidden_name()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(part, flags, mode, dir_fd=self._fd)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                if durable:
                    _sync(fd)
        except BaseException:
            self.discard(part)
            raise
        return part

    def publish(self, part: str, name: str) -> None:
        """Give a file its final name, which must be free. Raises `FileExistsError`.

        A hard link checks and names in one step. Without hard links there is a moment between
        the two; hold the lock of the folder, or its owner may lose a file made at that moment.
        """
        fd = self._fd
        try:
            os.link(_plain(part), _plain(name), src_dir_fd=fd, dst_dir_fd=fd, follow_symlinks=False)
        except FileExistsError:
            raise
        except (OSError, NotImplementedError):  # the latter from Python, for systems without
            if self.holds(name):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
            self.rename(part, name)
        else:
            self.discard(part)
        self.flush()

    def rename(self, old: str, new: str) -> None:
        """Give an entry another name, in place of the file that may have that name now."""
        os.rename(_plain(old), _plain(new), src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def touch(self, name: str) -> None:
        """Note that a file has been used now, where that can be noted."""
        with suppress(OSError, NotImplementedError):
            os.utime(_plain(name), dir_fd=self._fd, follow_symlinks=False)

    def remove(self, name: str) -> None:
        """Remove a file or a link. One that is not there is no error."""
        with suppress(FileNotFoundError):
            os.unlink(_plain(name), dir_fd=self._fd)

    def discard(self, part: str) -> None:
        """Remove a file that is no longer needed, if that is possible."""
        with suppress(OSError):
            os.unlink(part, dir_fd=self._fd)

    def flush(self) -> None:
        """Have names survive a power cut, where the file system can do that for a folder. By now
        they have changed, so that an error here must not be reported as a change that failed."""
        with suppress(OSError):
            os.fsync(self._fd)

    def name_max_bytes(self) -> int:
        """Return how long a name may be here."""
        try:
            return os.fpathconf(self._fd, "PC_NAME_MAX")
        except (OSError, ValueError):
            return NAME_MAX_BYTES

    def lock(self, timeout_s: float) -> None:
        """Lock the folder against other users of this method until it is closed. Raises
        `TimeoutError` if it stays locked. Where there are no locks, go on without."""
        lock(self._fd, timeout_s)


def lock(fd: int, timeout_s: float) -> None:
    """Lock an open file or folder until it is closed. Raises `TimeoutError` if another process or
    thread has it locked for so long. Where the file system has no locks, go on without."""
    give_up_at = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
            time.sleep(LOCK_RETRY_S)
        except OSError:
            return
        else:
            return


def _plain(name: str) -> str:
    if not is_plain(name):
        raise ValueError(f"{name!r} is not the name of an entry of a folder")
    return name


def _sync(fd: int) -> None:
    """fsync a file. A full or failing disk is an error; a file system without fsync is none."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED:
            raise
