"""Groups with real folders: their changes, whole or not made."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from group_folders import MakeFolder
from structlog.testing import capture_logs

from audio_server.clips.cache import Cache
from audio_server.clips.clip_reader import Loaded
from audio_server.clips.errors import ClipError
from audio_server.clips.loader import load_files
from audio_server.errors import SetupError
from audio_server.groups.folders import Folders
from audio_server.groups.groups import Groups
from audio_server.groups.interface import GroupRefused, Takers
from audio_server.groups.kept import KeptGroups
from audio_server.groups.overrides import NONE, Overrides


@dataclass
class TagsByHand:
    tags: dict[str, list[str]] = field(default_factory=dict)

    def tags_of(self, device_id: str) -> Sequence[str]:
        return self.tags.get(device_id, ())

    def tagged(self, tag: str) -> Sequence[str]:
        return [device_id for device_id, tags in self.tags.items() if tag in tags]


class House(Takers):
    """Groups over a settings file, with a list of the changes that devices were told."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = home / "settings.toml"
        self.config.touch()
        self.tags = TagsByHand()
        self.shared: list[Loaded] = []
        self.told: list[str] = []
        self.groups = self.anew()

    def anew(self) -> Groups:
        """Groups as a server that starts has them."""
        groups = Groups(
            self.tags,
            Folders(Cache(self.home / "cache"), lambda: self.shared),
            config=self.config,
            kept=KeptGroups(self.home / "data"),
            roots=lambda: [self.home / "own"],
        )
        groups.used_by(self)
        return groups

    async def take(self) -> None:
        self.told.append("all")

    def retag(self, device_id: str) -> None:
        self.told.append(device_id)

    def names_of(self, device_id: str) -> list[str] | None:
        clips = self.groups.clips_of(device_id)
        return None if clips is None else [clip.name for clip in clips]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_a_group_of_the_file_has_its_own_clips(house: House, make_folder: MakeFolder) -> None:
    folder = make_folder("lobby", bell=3, horn=4)
    house.config.write_text(f'[groups.lobby]\nclips = "{folder}"\nlead_ms = 100\n')
    house.tags.tags = {"x": ["lobby"], "y": ["hall"]}
    await house.groups.open()
    assert house.groups.of("x") == Overrides(clips=str(folder), lead_ms=100)
    assert house.names_of("x") == ["bell", "horn"]
    assert house.groups.of("y") == NONE
    assert house.names_of("y") is None
    assert house.groups.members() == {"x": house.groups.of("x")}


async def test_sound_of_several_folders_is_in_memory_once(
    house: House, make_folder: MakeFolder
) -> None:
    fleet, lobby, hall = make_folder("f", a=3, b=4), make_folder("l", z=3), make_folder("h", q=3)
    house.shared = await load_files(fleet, cache=house.home / "cache")
    house.config.write_text(f'[groups.lobby]\nclips = "{lobby}"\n[groups.hall]\nclips = "{hall}"\n')
    await house.groups.open()
    (z,), (q,) = house.groups.clips[str(lobby)], house.groups.clips[str(hall)]
    assert (z.name, q.name) == ("z", "q")
    assert z.frames is q.frames is house.shared[0].clip.frames


async def test_the_file_is_read_again(house: House, make_folder: MakeFolder) -> None:
    folder = make_folder("lobby", bell=3)
    house.tags.tags = {"x": ["lobby"]}
    await house.groups.open()
    assert house.groups.of("x") == NONE
    house.config.write_text(f'[groups.lobby]\nclips = "{folder}"\n')
    await house.groups.reload()
    assert house.names_of("x") == ["bell"]
    assert house.told == ["all"]
    make_folder("lobby", horn=4)
    await house.groups.reload()
    assert house.names_of("x") == ["bell", "horn"]


@pytest.mark.parametrize("mistake", ["lead_ms = 1", 'clips = "nowhere"'])
async def test_a_mistake_changes_nothing(
    mistake: str, house: House, make_folder: MakeFolder
) -> None:
    house.config.write_text("[groups.lobby]\nlead_ms = 100\n")
    house.tags.tags = {"x": ["lobby"]}
    await house.groups.open()
    house.config.write_text(f"[groups.lobby]\n{mistake}\n")
    with pytest.raises(SetupError, match=r"groups\.lobby"):
        await house.groups.reload()
    assert house.groups.of("x") == Overrides(lead_ms=100)
    assert house.told == []


async def test_a_folder_that_is_gone_is_named_with_its_table_and_the_rest_stays(
    house: House, make_folder: MakeFolder
) -> None:
    """The good tables of the file wait, too: a server that started now would refuse the file."""
    lobby, attic = make_folder("lobby", bell=3), make_folder("attic", horn=3)
    text = f'[groups.lobby]\nclips = "{lobby}"\n[devices.y]\nclips = "{attic}"\n'
    house.config.write_text(text)
    house.tags.tags = {"x": ["lobby"]}
    await house.groups.open()
    shutil.rmtree(attic)
    house.config.write_text(f"{text}[groups.hall]\nlead_ms = 60\n")
    with capture_logs() as logs:
        await house.groups.reload_and_tell()
    (line,) = logs
    told = f"{house.config}: [devices.y] clips: {attic}: no folder of clips (No such file"
    assert (line["event"], line["log_level"]) == ("groups not reloaded", "error")
    assert line["error"].startswith(told)
    assert (house.names_of("x"), house.names_of("y")) == (["bell"], ["horn"])
    assert list(house.groups.all) == ["lobby"]


async def test_a_folder_of_the_file_that_is_missing_ends_the_start(house: House) -> None:
    house.config.write_text('[groups.hall]\n[groups.lobby]\nclips = "nowhere"\n')
    reason = r"settings.toml: \[groups.lobby\] clips: nowhere: no folder of clips \("
    with pytest.raises(SetupError, match=reason):
        await house.groups.open()


async def test_a_group_of_the_api_is_kept(house: House, make_folder: MakeFolder) -> None:
    make_folder("own")
    folder = make_folder("own/lobby", bell=3)
    house.tags.tags = {"x": ["lobby"]}
    await house.groups.open()
    await house.groups.put("lobby", Overrides(clips=str(folder)))
    assert house.names_of("x") == ["bell"]
    assert house.told == ["all"]
    again = house.anew()
    await again.open()
    assert again.of("x") == Overrides(clips=str(folder))
    await again.put("lobby", None)
    assert again.of("x") == NONE
    last = house.anew()
    await last.open()
    assert last.all == {}


async def test_a_kept_folder_that_is_gone_is_left_out(
    house: House, make_folder: MakeFolder
) -> None:
    KeptGroups(house.home / "data").write({"lobby": Overrides(clips="gone", lead_ms=60)})
    house.tags.tags = {"x": ["lobby"]}
    await house.groups.open()
    assert house.groups.of("x").lead_ms == 60
    assert house.names_of("x") is None


@pytest.mark.parametrize("outside", ["elsewhere", "own/../elsewhere"])
async def test_the_api_names_no_folder_of_others(
    outside: str, house: House, make_folder: MakeFolder
) -> None:
    make_folder("own")
    make_folder("elsewhere", bell=3)
    await house.groups.open()
    with pytest.raises(GroupRefused, match=r"is not in .*own; the settings file may name any"):
        await house.groups.put("lobby", Overrides(clips=str(house.home / outside)))
    assert house.groups.all == {}


async def test_a_link_leads_the_api_to_no_folder_of_others(
    house: House, make_folder: MakeFolder
) -> None:
    make_folder("own")
    (house.home / "own" / "link").symlink_to(make_folder("elsewhere", bell=3))
    await house.groups.open()
    with pytest.raises(GroupRefused):
        await house.groups.put("lobby", Overrides(clips=str(house.home / "own" / "link")))


async def test_a_folder_of_the_file_may_be_named_again(
    house: House, make_folder: MakeFolder
) -> None:
    folder = make_folder("elsewhere", bell=3)
    house.config.write_text(f'[groups.lobby]\nclips = "{folder}"\n')
    await house.groups.open()
    await house.groups.put("hall", Overrides(clips=str(folder)))
    assert house.groups.all["hall"].clips == str(folder)


async def test_a_group_of_the_file_is_changed_there(house: House) -> None:
    house.config.write_text("[groups.lobby]\nlead_ms = 100\n")
    await house.groups.open()
    with pytest.raises(GroupRefused, match=r"\[groups.lobby\] is in .*settings.toml; change it"):
        await house.groups.put("lobby", Overrides(lead_ms=60))


async def test_a_folder_without_clips_is_refused(house: House, make_folder: MakeFolder) -> None:
    folder = make_folder("own")
    await house.groups.open()
    with pytest.raises(ClipError):
        await house.groups.put("lobby", Overrides(clips=str(folder)))
    assert house.groups.all == {}


async def test_a_data_folder_that_cannot_be_written_changes_nothing(house: House) -> None:
    (house.home / "data").write_text("a file in its place")
    groups = Groups(
        house.tags, Folders(Cache(house.home / "cache")), kept=KeptGroups(house.home / "data" / "x")
    )
    with pytest.raises(GroupRefused, match="cannot be kept"):
        await groups.put("lobby", Overrides(lead_ms=60))
    assert groups.all == {}


async def test_other_tags_are_told_where_groups_have_settings(house: House) -> None:
    await house.groups.open()
    house.groups.retag("x")
    assert house.told == []
    await house.groups.put("lobby", Overrides(lead_ms=60))
    house.groups.retag("x")
    assert house.told == ["all", "x"]


async def test_a_folder_that_leads_to_itself_is_refused(house: House) -> None:
    own = house.home / "own"
    own.mkdir()
    (own / "loop").symlink_to("loop")
    await house.groups.open()
    for path in (own / "loop", own / "loop" / "clips"):
        with pytest.raises((GroupRefused, ClipError)):
            await house.groups.put("lobby", Overrides(clips=str(path)))


async def test_a_folder_that_is_gone_holds_up_no_other_group(
    house: House, make_folder: MakeFolder
) -> None:
    (house.home / "own").mkdir()
    folder = make_folder("own/hall", bell=3)
    house.tags.tags = {"x": ["hall"], "y": ["lobby"]}
    await house.groups.open()
    await house.groups.put("hall", Overrides(clips=str(folder)))
    shutil.rmtree(folder)
    await house.groups.put("lobby", Overrides(lead_ms=100))
    assert house.groups.of("y") == Overrides(lead_ms=100)
    house.config.write_text("[groups.attic]\nlead_ms = 150\n")
    with capture_logs() as logs:
        await house.groups.reload()
    assert [line["event"] for line in logs] == ["clips of a group left out"]
    assert house.groups.is_in_file("attic")
    assert house.names_of("x") == ["bell"]  # from memory
    with pytest.raises(ClipError):
        await house.groups.put("hall", Overrides(clips=str(folder), lead_ms=200))
