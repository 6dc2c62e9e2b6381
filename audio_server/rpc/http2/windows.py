"""Windows that grow ahead of the bytes that were consumed."""

from __future__ import annotations

from h2.windows import WindowManager


def take_lack(window: WindowManager, size: int) -> int:
    """Return the increment with which a stream's window holds `size` bytes; 0 if it does."""
    lacking = max(size - window.current_window_size, 0)
    window._bytes_processed = max(window._bytes_processed - lacking, 0)
    return lacking


def take_credit(window: WindowManager, size: int) -> int:
    """As `take_lack` for the connection's window, which is a promise: never more than was
    consumed."""
    lacking = max(min(size - window.current_window_size, window._bytes_processed), 0)
    window._bytes_processed -= lacking
    return lacking
