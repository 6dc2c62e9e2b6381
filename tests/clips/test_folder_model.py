"""Clips are a list, whatever is done to them in whatever order: a folder against a list."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from audio_server.clips import folder_ops
from audio_server.clips.folder import clip_files
from audio_server.clips.naming import Finder, titles_of

TITLES = ["a", "b", "7 rings", "1999", "99 Luftballons", "00-x", "note 2", "2024-05-01", "é", "-"]
STARTS = [
    [],
    ["1999.mp3", "7 rings.mp3", "Bad Guy.mp3"],
    [f"{number}-{chr(97 + number)}.wav" for number in range(10)],
    [f"{number:02}-same.wav" for number in range(99)],
    [f"{number:02} track.flac" for number in range(1, 13)],
    [f"{number:03}-c{number}.opus" for number in range(95, 104)],
    ["0-a.wav", "00-a.wav", "000-a.wav", "a.wav", "a.opus"],
    ["zebra.wav", "zebra", "10.wav", "2.wav"],
    ["cafe\u0301.wav", "caf\u00e9.wav", "caf\u00e9.opus"],
]


class Clips(RuleBasedStateMachine):
    """What a folder holds, against a list of titles and contents."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.model: list[tuple[str, str]] = []
        self.made = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize(names=st.sampled_from(STARTS))
    def start(self, names: list[str]) -> None:
        for name in names:
            (self.folder / name).write_text(name)
        ordered = sorted(names)
        self.model = list(zip(titles_of(ordered), ordered, strict=True))

    def content(self) -> str:
        self.made += 1
        return f"made {self.made}"

    def files(self) -> list[str]:
        return [file.name for file in clip_files(self.folder)] if self.model else []

    @rule(title=st.sampled_from(TITLES))
    def add(self, title: str) -> None:
        content = self.content()
        name = folder_ops.place(self.folder, title, content.encode())
        self.model.append((title, content))
        assert self.files()[-1] == name

    @rule(count=st.integers(1, 8))
    def add_many(self, count: int) -> None:
        for _ in range(count):
            self.add("many")

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        files = self.files()
        old, new = (data.draw(st.integers(0, len(files) - 1)) for _ in range(2))
        files.insert(new, files.pop(old))
        folder_ops.reorder(self.folder, files)
        self.model.insert(new, self.model.pop(old))

    @precondition(lambda self: self.model)
    @rule(random=st.randoms())
    def shuffle(self, random: object) -> None:
        order = list(range(len(self.model)))
        random.shuffle(order)  # type: ignore[attr-defined]
        files = self.files()
        folder_ops.reorder(self.folder, [files[index] for index in order])
        self.model = [self.model[index] for index in order]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def replace(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.model) - 1))
        content = self.content()
        name = folder_ops.replace(self.folder, self.files()[index], content.encode())
        self.model[index] = (self.model[index][0], content)
        assert self.files()[index] == name

    @precondition(lambda self: self.model)
    @rule(data=st.data(), title=st.sampled_from(TITLES))
    def rename(self, data: st.DataObject, title: str) -> None:
        index = data.draw(st.integers(0, len(self.model) - 1))
        name = folder_ops.rename(self.folder, self.files()[index], title)
        self.model[index] = (title, self.model[index][1])
        assert self.files()[index] == name

    @precondition(lambda self: len(self.model) > 1)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.model) - 1))
        folder_ops.remove(self.folder, self.files()[index])
        del self.model[index]

    @invariant()
    def it_is_the_list(self) -> None:
        files = self.files()
        contents = [(self.folder / name).read_text() for name in files]
        assert list(zip(titles_of(files), contents, strict=True)) == self.model
        assert list(map(Finder(files).find, files)) == files
        assert sorted(path.name for path in self.folder.iterdir()) == files


Clips.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
TestClips = Clips.TestCase
