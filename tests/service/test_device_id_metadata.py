"""The id of a device in the metadata of its calls: `device_id` or `device-id`, exactly one."""

from __future__ import annotations

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from multidict import MultiDict
from service_home import open_home
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.wire.device_ids import DeviceIdError, device_id_in

FORM = "1-64 characters out of A-Z a-z 0-9 . _ : -"
NONE = f"metadata needs device_id or device-id: {FORM}"
SEVERAL = "metadata needs exactly one of device_id and device-id, with one value"
BAD = f"the device id in the metadata needs {FORM}"


@pytest.mark.parametrize("key", ["device_id", "device-id"])
def test_either_key_carries_the_id(key: str) -> None:
    assert device_id_in(MultiDict({key: "kitchen", "other": "x"})) == "kitchen"


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ([], NONE),
        ([("deviceid", "one"), ("device.id", "one")], NONE),
        ([("device_id", "one"), ("device-id", "one")], SEVERAL),
        ([("device_id", "one"), ("device-id", "two")], SEVERAL),
        ([("device_id", "one"), ("device_id", "one")], SEVERAL),
        ([("device-id", "one"), ("device-id", "one")], SEVERAL),
        ([("device_id", "one"), ("device-id", "")], SEVERAL),
        ([("device_id", "")], BAD),
        ([("device-id", "one,two")], BAD),
        ([("device-id", "x" * 65)], BAD),
        ([("device_id", "no spaces")], BAD),
        ([("device-id", b"one")], BAD),
    ],
)
def test_any_other_metadata_is_refused_with_the_rule(
    metadata: list[tuple[str, str | bytes]], reason: str
) -> None:
    with pytest.raises(DeviceIdError) as error:
        device_id_in(MultiDict(metadata))
    assert str(error.value) == reason


def test_no_metadata_at_all() -> None:
    with pytest.raises(DeviceIdError):
        device_id_in(None)


async def test_calls_with_either_key_are_of_the_same_device(autojump_clock: MockClock) -> None:
    async with (
        open_home() as home,
        home.connect() as stub,
        stub.EventStream.open(metadata={"device_id": "one"}),
        stub.StatusStream.open(metadata={"device-id": "one"}),
    ):
        await wait_all_tasks_blocked()
        assert list(home.devices.by_id) == ["one"]
        assert len(home.devices.by_id["one"].attachments) == 2


async def test_both_are_refused_and_no_device_is_made(autojump_clock: MockClock) -> None:
    metadata = {"device_id": "one", "device-id": "one"}
    async with open_home() as home, home.connect() as stub:
        async with stub.StatusStream.open(metadata=metadata) as call:
            with pytest.raises(GRPCError, match="exactly one of device_id and device-id") as error:
                await call.recv_message()
        assert error.value.status is Status.INVALID_ARGUMENT
        assert not home.devices.by_id
