"""Two servers that share an engine, one of them with workers, and clips that operators change."""

from __future__ import annotations

from pathlib import Path

import trio
from engine import EngineProcess
from node_process import MODE, PLAY
from pages import Page, open_page

from audio_server.clips.ogg import opus_bytes
from audio_server.wire.audio import SILENCE

DOWN = "clips: the cluster is down: nothing has changed; try again"


async def titles(page: Page) -> list[str]:
    return [clip["title"] for clip in (await page.ask("GET", "/api/clips"))[1]["clips"]]


async def test_a_clip_that_is_added_at_a_server_is_played_by_the_other(
    engine: EngineProcess, tmp_path: Path
) -> None:
    sound = tmp_path / "doorbell.opus"
    await trio.Path(sound).write_bytes(opus_bytes([SILENCE] * 500))
    async with open_page(engine, tmp_path) as a, open_page(engine, tmp_path, "--workers", "2") as b:
        await a.node.wait("clips put into the cluster")
        assert await titles(a) == await titles(b)
        async with b.node.device("x") as device:
            began = trio.current_time()
            status, _ = await a.send("POST", "/api/clips?name=doorbell.opus", sound)
            assert status == 200
            assert (await titles(a))[-1] == "doorbell"
            with trio.fail_after(10):
                while (await titles(b))[-1] != "doorbell":  # noqa: ASYNC110
                    await trio.sleep(0.05)
            assert trio.current_time() - began < 10
            await device.press(*[MODE] * 5)
            engine.hang()
            try:
                await b.node.wait("cluster is down")
                began = trio.current_time()
                for answer in (
                    await b.send("POST", "/api/clips?name=more.opus", sound),
                    await b.ask("DELETE", "/api/clips/doorbell"),
                    await b.ask("POST", "/api/clips/reload"),
                ):
                    assert answer == (503, {"error": DOWN})
                assert trio.current_time() - began < 2
                await device.press(PLAY)
                await device.wait_sound()
            finally:
                engine.go_on()
