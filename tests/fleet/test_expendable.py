"""Which devices the inventory gives up: a model that any order of calls is compared with."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from audio_server.fleet.expendable import Expendable, network_of

IDS = st.sampled_from([f"d{number}" for number in range(12)])
NETWORKS = st.sampled_from(["a", "b", "c"])


class AnyOrder(RuleBasedStateMachine):
    """The model is a list of ids and networks, the one seen last at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.expendable = Expendable()
        self.model: list[tuple[str, str]] = []

    @rule(device_id=IDS, network=NETWORKS)
    def add(self, device_id: str, network: str) -> None:
        self.discard(device_id)
        self.expendable.add(device_id, network)
        self.model.append((device_id, network))

    @rule(device_id=IDS)
    def discard(self, device_id: str) -> None:
        self.expendable.discard(device_id)
        self.model = [one for one in self.model if one[0] != device_id]

    @rule()
    @precondition(lambda self: self.model)
    def give_up(self) -> None:
        given = self.expendable.give_up()
        networks = [network for _, network in self.model]
        network = dict(self.model)[given]
        assert networks.count(network) == max(networks.count(one) for one in networks)
        assert given == next(device_id for device_id, at in self.model if at == network)
        self.model = [one for one in self.model if one[0] != given]

    def teardown(self) -> None:
        while self.model:
            self.give_up()
        assert self.expendable.give_up() is None
        assert not self.expendable._network_of
        assert not self.expendable._by_size


test_any_order = AnyOrder.TestCase


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.7:1", "10.0.0.7:2", True),
        ("10.0.0.7:1", "10.0.0.8:1", False),
        ("2001:db8:0:1200::1:5", "2001:db8:0:12ff::9:7", True),
        ("2001:db8:0:1200::1:5", "2001:db8:0:1300::1:5", False),
        ("::ffff:10.0.0.7:5", "10.0.0.7:6", True),
        ("fe80::1%eth0:5", "fe80::2%eth1:5", True),
        ("local", None, True),
    ],
)
def test_a_network_counts_as_one_client(one: str, other: str | None, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same
