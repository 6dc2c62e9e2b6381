"""The settings of groups as nodes have them, with the clips of their folders."""

from __future__ import annotations

from dataclasses import dataclass, field

from test_clip_list import Counted, clips_of

from audio_server.cluster.clip_list import ClipList, Sounds, put_clips
from audio_server.cluster.group_list import FolderClips, GroupDocument, GroupList, Members
from audio_server.cluster.local import Hub
from audio_server.groups.overrides import Overrides

LOBBY = Overrides(clips="lobby", lead_ms=60)
HALL = Overrides(stop_goes="keep")


@dataclass
class Node:
    """A node, and the settings that it took last."""

    cluster: Counted
    members: Members = field(default_factory=dict)
    folders: FolderClips = field(default_factory=dict)
    taken: int = 0

    def __post_init__(self) -> None:
        self.sounds = Sounds(self.cluster)
        self.groups = GroupList(self.cluster, self.sounds)
        self.clips = ClipList(self.cluster, self.sounds)

    async def fetch(self) -> None:
        await self.groups.fetch(self.use)

    def use(self, members: Members, folders: FolderClips) -> None:
        self.members, self.folders, self.taken = members, folders, self.taken + 1


async def test_settings_and_clips_arrive() -> None:
    hub = Hub()
    node, document = Node(Counted(hub)), GroupDocument(hub)
    await node.fetch()
    assert (node.taken, node.members) == (0, {})
    clips = {"lobby": clips_of(a=1, b=200), "attic": clips_of(b=200)}
    members = {"x": LOBBY, "y": HALL, "z": LOBBY}
    await document.put(lambda: members, clips)
    await node.fetch()
    assert node.members == members
    assert node.folders == clips
    assert node.folders["lobby"][1].frames is node.folders["attic"][0].frames
    assert node.cluster.blobs == 2


async def test_members_change_and_no_clip_is_fetched_again() -> None:
    hub = Hub()
    node, document = Node(Counted(hub)), GroupDocument(hub)
    clips = {"lobby": clips_of(a=1)}
    await document.put(lambda: {"x": LOBBY}, clips)
    await node.fetch()
    await document.put(dict, clips)
    await node.fetch()
    assert (node.members, node.taken, node.cluster.blobs) == ({}, 2, 1)
    await node.fetch()
    assert node.taken == 2


async def test_sound_of_the_fleet_is_shared_with_groups() -> None:
    hub = Hub()
    node, document = Node(Counted(hub)), GroupDocument(hub)
    await put_clips(hub, clips_of(bell=3))
    fleet = []
    await node.clips.fetch(fleet.extend)
    await document.put(lambda: {"x": LOBBY}, {"lobby": clips_of(chime=3)})
    await node.fetch()
    (chime,) = node.folders["lobby"]
    assert chime.name == "chime"
    assert chime.frames is fleet[0].frames
    assert node.cluster.blobs == 1


async def test_a_folder_that_is_gone_takes_no_memory() -> None:
    hub = Hub()
    node, document = Node(Counted(hub)), GroupDocument(hub)
    await document.put(lambda: {"x": LOBBY}, {"lobby": clips_of(a=1)})
    await node.fetch()
    await document.put(dict, {})
    await node.fetch()
    await document.put(lambda: {"x": LOBBY}, {"lobby": clips_of(a=1)})
    await node.fetch()
    assert node.cluster.blobs == 2
