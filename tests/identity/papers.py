"""Certificates of an authority that the server trusts, and of one that it does not."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from audio_server.identity.dev_certs import DevCerts, make_dev_certs
from audio_server.identity.tls import client_context

KITCHEN, HALL = "kitchen", "hall"


@dataclass(frozen=True)
class Papers:
    """What a device of one authority shows, and whom it trusts."""

    certs: DevCerts

    def context(self, device_id: str | None = None) -> ssl.SSLContext:
        """A client that trusts the authority; with an id it shows that device's certificate."""
        if device_id is None:
            return client_context(self.certs.ca)
        pair = self.certs.devices[device_id]
        return client_context(self.certs.ca, pair.cert, pair.key)


def make_papers(folder: Path) -> Papers:
    """A new authority, its server and its two devices."""
    return Papers(make_dev_certs(folder, ["server.example"], [KITCHEN, HALL]))
