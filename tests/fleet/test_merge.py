"""Devices of several processes, told as one: whatever comes in whichever order."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from audio_server.fleet.change_tracker import Changes, EncodedRow
from audio_server.fleet.merge import Merge

WORKERS = ("1", "2", "3")
IDS = ("a", "b")


def rows(**told: int) -> Changes:
    """Rows by device, each with the connection it is on."""
    return Changes({key: EncodedRow(number, f"{key}{number}") for key, number in told.items()}, [])


def gone(*device_ids: str) -> Changes:
    return Changes({}, list(device_ids))


def test_a_device_that_moves_is_there_in_either_order() -> None:
    for news in ([("2", rows(a=2)), ("1", gone("a"))], [("1", gone("a")), ("2", rows(a=2))]):
        merge = Merge()
        merge.take("1", rows(a=1))
        merge.flush()
        for worker, changes in news:
            merge.take(worker, changes)
        assert merge.flush() == rows(a=2)


def test_what_the_old_connection_still_tells_changes_nothing() -> None:
    merge = Merge()
    merge.take("2", rows(a=5))
    merge.take("1", rows(a=4))
    merge.take("1", gone("a"))
    assert merge.flush() == rows(a=5)


def test_a_worker_that_is_lost_takes_its_own_devices_along() -> None:
    merge = Merge()
    merge.take("1", rows(a=1, b=2))
    merge.take("2", rows(b=3, c=4))
    merge.flush()
    merge.lose("1")
    assert merge.flush() == gone("a")


def test_who_comes_and_goes_between_two_tellings_is_gone() -> None:
    merge = Merge()
    merge.take("1", rows(a=1))
    merge.take("1", gone("a"))
    assert merge.flush() == gone("a")
    assert merge.flush() == gone()


class Moves(RuleBasedStateMachine):
    """Devices that move between workers, which tell of it late and in any order; at the end of it
    all whoever watched has what there is."""

    def __init__(self) -> None:
        super().__init__()
        self.merge = Merge()
        self.shown: dict[str, str] = {}
        self.seats: dict[str, tuple[str, int]] = {}
        self.waiting: dict[str, list[Changes]] = {worker: [] for worker in WORKERS}
        self.last = 0

    def leave(self, device_id: str) -> None:
        if device_id in self.seats:
            worker, _ = self.seats.pop(device_id)
            self.waiting[worker].append(gone(device_id))

    @rule(device_id=st.sampled_from(IDS), worker=st.sampled_from(WORKERS))
    def connect(self, device_id: str, worker: str) -> None:
        self.leave(device_id)
        self.last += 1
        self.seats[device_id] = worker, self.last
        self.waiting[worker].append(rows(**{device_id: self.last}))

    @rule(device_id=st.sampled_from(IDS))
    def disconnect(self, device_id: str) -> None:
        self.leave(device_id)

    @rule(worker=st.sampled_from(WORKERS))
    def tell(self, worker: str) -> None:
        if self.waiting[worker]:
            self.merge.take(worker, self.waiting[worker].pop(0))

    @rule(worker=st.sampled_from(WORKERS))
    def restart(self, worker: str) -> None:
        self.merge.lose(worker)
        self.waiting[worker].clear()
        self.seats = {key: seat for key, seat in self.seats.items() if seat[0] != worker}

    @rule()
    def flush(self) -> None:
        changes = self.merge.flush()
        for device_id in changes.gone:
            self.shown.pop(device_id, None)
        self.shown.update({key: told.text for key, told in changes.rows.items()})

    @invariant()
    def all_is_shown_once_all_is_told(self) -> None:
        if not any(self.waiting.values()):
            self.flush()
            assert self.shown == {key: f"{key}{seat[1]}" for key, seat in self.seats.items()}


TestMoves = Moves.TestCase
