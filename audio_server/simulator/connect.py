"""How a virtual device connects: in plaintext or over TLS, with or without a certificate."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from audio_server.identity.tls import client_context
from audio_server.rpc.client import open_channel
from audio_server.simulator.errors import UsageError

if TYPE_CHECKING:
    from audio_server.simulator.device import OpenChannel
    from audio_server.simulator.options import Options


def connecting(options: Options) -> OpenChannel:
    """Return the function that opens connections as `options` ask for.

    Reads the files now; raises `TlsError` for one that cannot be used, and `UsageError`.
    """
    ca, cert, key = options.tls_ca, options.tls_cert, options.tls_key
    if (cert is None) != (key is None):
        raise UsageError("--tls-cert and --tls-key go together")
    if options.devices > 1 and (cert or options.token):
        raise UsageError("a certificate or a token is for one device")
    is_tls = options.tls or ca is not None or cert is not None
    context = client_context(ca, cert, key) if is_tls else None
    return partial(open_channel, options.host, options.port, ssl_context=context)
