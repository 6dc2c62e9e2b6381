"""What Hypercorn is told: one socket that is there already, our bounds, our TLS."""

from __future__ import annotations

import logging
import socket
import ssl
from typing import Final

from hypercorn.config import Config

END_S: Final = 0.5
"""How long requests have to come to their end."""

READ_S: Final = 30
"""How long a request may take to come, and how long a connection may be silent after one."""

HANDSHAKE_S: Final = 10

MESSAGE_MAX_BYTES: Final = 4096


class OurConfig(Config):
    """Hypercorn reads certificates once; `tls` is a context that knows newer ones too."""

    tls: ssl.SSLContext | None = None

    def create_ssl_context(self) -> ssl.SSLContext | None:
        """What connections are secured with; None for not at all."""
        return self.tls

    @property
    def ssl_enabled(self) -> bool:
        """Whether `bind` speaks TLS."""
        return self.tls is not None


def make_config(listener: socket.socket, tls: ssl.SSLContext | None) -> Config:
    """Takes the listener over."""
    config = OurConfig()
    config.tls = tls
    config.bind = f"fd://{listener.detach()}"
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.graceful_timeout = END_S
    config.read_timeout = None
    config.keep_alive_timeout = READ_S
    config.ssl_handshake_timeout = HANDSHAKE_S
    config.websocket_max_message_size = MESSAGE_MAX_BYTES
    config.websocket_ping_interval = READ_S
    return config
