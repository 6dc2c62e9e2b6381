"""Two servers that share an engine, one of them with workers, and groups that operators change."""

from __future__ import annotations

from pathlib import Path

import trio
from engine import EngineProcess
from node_process import MODE, PLAY
from pages import Page, open_page

from audio_server.clips.ogg import opus_bytes
from audio_server.wire.audio import SILENCE

DOWN = "the cluster is down: nothing has changed; try again"
WITHIN_S = 10


async def titles(page: Page, which: str) -> list[str]:
    status, answer = await page.ask("GET", f"/api/clips?{which}")
    return [clip["title"] for clip in answer["clips"]] if status == 200 else []


async def until_titles(page: Page, which: str, last: str) -> None:
    with trio.fail_after(WITHIN_S):
        while last not in (await titles(page, which))[-1:]:  # noqa: ASYNC110
            await trio.sleep(0.05)


async def test_a_group_that_is_changed_at_a_server_is_changed_at_the_other(
    engine: EngineProcess, tmp_path: Path
) -> None:
    """Its settings and its clips, for a device there and in the answers of both; while the engine
    is away nothing changes, and the device plays on."""
    sound = tmp_path / "gong.opus"
    await trio.Path(sound).write_bytes(opus_bytes([SILENCE] * 500))
    async with open_page(engine, tmp_path) as a, open_page(engine, tmp_path, "--workers", "2") as b:
        await a.node.wait("clips put into the cluster")
        async with b.node.device("x") as device:
            assert (await b.run("tag", "lobby", "x"))[0] == 0
            assert (await a.run("groups", "set", "lobby", "lead_ms=100"))[0] == 0
            status, _ = await a.send("POST", "/api/clips?group=lobby&name=gong.opus", sound)
            assert status == 200
            await until_titles(b, "group=lobby", "gong")
            await until_titles(b, "device=x", "gong")
            assert (await titles(b, ""))[-1] != "gong"
            group = (await b.ask("GET", "/api/groups/lobby"))[1]
            assert group["settings"] == {"lead_ms": 100, "clips": "groups/lobby"}
            assert (group["devices"], group["connected"]) == (1, 1)
            await device.press(*[MODE] * 5)
            assert (await b.ask("GET", "/api/devices/x"))[1]["mode_name"] == "05-gong"
            engine.hang()
            try:
                await b.node.wait("cluster is down")
                for page, answer in (
                    (b, await b.send("POST", "/api/clips?group=lobby&name=more.opus", sound)),
                    (b, await b.ask("PATCH", "/api/groups/lobby", {"lead_ms": 200})),
                    (b, await b.ask("DELETE", "/api/groups/lobby")),
                ):
                    assert (answer[0], DOWN in answer[1]["error"]) == (503, True), page
                assert (await titles(b, "group=lobby"))[-1] == "gong"
                await device.press(PLAY)
                await device.wait_sound()
            finally:
                engine.go_on()
