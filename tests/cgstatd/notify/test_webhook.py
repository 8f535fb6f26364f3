"""The webhook over a real HTTP client and server: what is sent, until when, and what becomes of it."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from certificates import authority, issue
from cgstatd import __version__
from cgstatd.basics.destination import Destination, origin
from cgstatd.basics.timing import Backoff
from cgstatd.feed.follow.follower import Follower
from cgstatd.host.identity import Identity
from cgstatd.notify import delivery
from cgstatd.notify.coalescing import APART_SECONDS, SHARE
from cgstatd.notify.secret_file import BadSecret, read_secret
from cgstatd.notify.waiting import AT_ONCE, MOST
from cgstatd.notify.webhook import GATHER_SECONDS, LOOK_SECONDS, Webhook
from cgstatd.sampling import pass_work
from cgstatd.sampling.round import Changes, Ended
from dockhand import ManualTime
from fakehost import FakeHost, container_id, no_thread_left
from webhook import Answer, Hook, answering, cut, endless, silent, webhook
from wire import Server, serving


@dataclass
class Told:
    """The agent's side."""

    webhook: Webhook
    time: ManualTime
    follower: Follower
    server: Server

    async def tell(self, url: str, secret: str = "", ca: str = "") -> None:
        """Begin, once the first look is over."""
        await self.webhook.tell(Destination(url, secret, ca))
        await self.time.sleeper(lambda seconds: seconds == LOOK_SECONDS)

    async def send(self, url: str, *names: str, secret: str = "", ca: str = "") -> None:
        """Begin, and have the ends of these containers go out (of one where none is named)."""
        await self.tell(url, secret, ca)
        self.end(*names or ("box",))
        await self.gathered()

    def observes(self) -> bool:
        """Whether it hears what happens."""
        return any(getattr(each, "__self__", None) is self.webhook for each in self.follower.observers)

    def end(self, *names: str, code: int = 3, uid: int = 0) -> None:
        """Containers of a user end."""
        ends = [
            Ended(Identity(name, name, "lxc", uid, None), None, None, code, None, None, None, False, None, None)
            for name in names
        ]
        for observer in self.follower.observers:
            observer(Changes(ended=ends))

    async def gathered(self) -> None:
        """What happened goes out."""
        await self.time.sleeper(lambda seconds: seconds == GATHER_SECONDS)
        self.time.advance(GATHER_SECONDS)

    async def again(self, seconds: float) -> None:
        """An attempt has failed, and the next comes after so long."""
        await self.time.sleeper(lambda each: each == seconds)
        self.time.advance(seconds)

    async def until(self, **outcomes: int) -> None:
        """Wait until so much became of what was told."""
        async with asyncio.timeout(30):
            while True:
                found = self.webhook.figures()
                assert found is not None
                if outcomes.items() <= found.outcomes.items():
                    return
                await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 0.05)
    with no_thread_left():
        yield


@asynccontextmanager
async def telling(host: FakeHost) -> AsyncIterator[Told]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(host.sampler()))
        app = server.parts
        time = ManualTime()

        async def hostname() -> str | None:
            return "web1\n"

        made = Webhook(app.feed, app.follower, 7, hostname, time, Backoff(random=lambda: 0.5))
        stack.push_async_callback(made.stop)
        yield Told(made, time, app.follower, server)


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Told]:
    """Of a host with one container."""
    host = FakeHost(tmp_path / "host")
    host.add("web")
    async with telling(host) as found:
        yield found


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with webhook() as found:
        yield found


async def test_an_end_is_told_with_the_host_and_the_secret(told: Told, hook: Hook, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("t0ken\n")
    await told.send(hook.url, secret=str(secret))
    [(headers, body)] = await hook.got()
    assert headers["authorization"] == "Bearer t0ken" and headers["content-type"] == "application/json"
    assert headers["user-agent"] == f"cgstatd/{__version__}"
    [found] = body.pop("notifications")
    assert body == {"format": 1, "agent": __version__, "host": "web1\N{REPLACEMENT CHARACTER}", "env": 7, "lost": 0}
    assert found["type"] == "exit" and found["name"] == "box" and found["exitCode"] == 3 and found["count"] == 1
    assert found["timestamp"] > 1_700_000_000_000 and found["workload"] == "lxc:box"
    await told.until(delivered=1)


async def test_what_happens_within_a_second_goes_in_one_request(told: Told, hook: Hook) -> None:
    await told.tell(hook.url)
    told.end("a")
    await told.time.sleeper(lambda seconds: seconds == GATHER_SECONDS)
    told.end("b", "c")
    await told.gathered()
    await told.until(delivered=3)
    assert [each["name"] for each in hook.told()] == ["a", "b", "c"] and len(hook.requests) == 1


@pytest.mark.parametrize("answer", [answering(500), answering(429), cut], ids=["500", "429", "cut"])
async def test_what_was_not_taken_is_sent_again_each_time_later(told: Told, hook: Hook, answer: Answer) -> None:
    hook.answers = [answer, answer, answer]
    await told.send(hook.url)
    for seconds in (1.0, 2.0, 4.0):
        await told.again(seconds)
    await told.until(delivered=1)
    assert [each["name"] for each in hook.told()] == ["box"] * 4
    told.end("another")  # and after one that was taken it begins anew
    hook.answers = [answer]
    await told.gathered()
    await told.again(1.0)
    await told.until(delivered=2)


async def test_the_server_says_for_how_long_to_stay_away(told: Told, hook: Hook) -> None:
    hook.answers = [answering(503, Retry_After="120")]
    await told.send(hook.url)
    await told.again(120.0)
    await told.until(delivered=1)


async def test_a_server_that_never_answers_is_given_up_and_asked_again(
    told: Told, hook: Hook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(delivery, "ANSWER_SECONDS", 0.05)
    hook.answers = [silent]
    await told.send(hook.url)
    await told.time.sleeper(lambda seconds: seconds == 1.0)
    monkeypatch.setattr(delivery, "ANSWER_SECONDS", 60.0)
    await told.again(1.0)
    await told.until(delivered=1)
    assert "no answer within 0.05 s" in caplog.text


async def test_a_slow_server_is_waited_for(told: Told, hook: Hook) -> None:
    go = asyncio.Event()

    async def slow(request: Any) -> Any:
        await go.wait()
        return await answering(200)(request)

    hook.answers = [slow]
    await told.send(hook.url)
    await hook.got()
    told.end("meanwhile")
    go.set()
    await told.until(delivered=2)
    assert [each["name"] for each in hook.told()] == ["box", "meanwhile"]


async def test_an_answer_without_an_end_is_not_read(told: Told, hook: Hook) -> None:
    hook.always = endless
    await told.send(hook.url)
    await told.until(delivered=1)


@pytest.mark.parametrize("status", [301, 307, 404, 401])
async def test_a_redirect_is_not_followed_and_a_refusal_is_not_repeated(
    told: Told, hook: Hook, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    hook.answers = [answering(status, Location="/elsewhere")]
    await told.send(hook.url)
    await told.until(refused=1)
    told.end("next")
    await told.gathered()
    await told.until(delivered=1)
    assert hook.others == [] and hook.requests[-1][1]["lost"] == 1
    assert f"refused: HTTP {status}" in caplog.text


async def test_a_server_that_is_gone_is_said_once_and_found_when_it_is_back(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with webhook() as hook:
        port = int(hook.url.split(":")[2].split("/")[0])
    await told.send(hook.url)
    for seconds in (1.0, 2.0, 4.0):
        await told.again(seconds)
    await told.time.sleeper(lambda seconds: seconds == 8.0)
    said = [each.getMessage() for each in caplog.records if "notify not delivered" in each.getMessage()]
    assert len(said) == 1 and f"to=http://127.0.0.1:{port}: " in said[0]
    found = told.webhook.figures()
    assert found is not None and found.trouble and found.waiting == 1
    async with webhook() as back:
        await told.webhook.tell(Destination(back.url))  # its port is another now: what waits goes there
        await told.until(delivered=1)
        assert [each["name"] for each in back.told()] == ["box"]
    assert "s3cret" not in caplog.text and "/hook" not in caplog.text


async def test_a_container_that_ends_without_pause_is_told_once_a_minute(told: Told, hook: Hook) -> None:
    await told.tell(hook.url)
    for code in range(1, 1001):
        told.end("box", code=code)
    await told.gathered()
    await told.until(delivered=1)
    await told.time.sleeper(lambda seconds: APART_SECONDS - 2 <= seconds <= APART_SECONDS)
    told.time.advance(APART_SECONDS)
    await told.gathered()
    await told.until(delivered=1000)
    # flapping is none: nothing was started
    assert [(each["exitCode"], each["count"]) for each in hook.told()] == [(1, 1), (1000, 999)]


async def test_of_a_storm_of_a_thousand_containers_all_is_delivered_or_counted(told: Told, hook: Hook) -> None:
    await told.send(hook.url, *[f"box{n}" for n in range(1000)])
    await told.until(delivered=SHARE)
    await told.time.sleeper(lambda seconds: APART_SECONDS - 2 <= seconds <= APART_SECONDS)
    told.time.advance(APART_SECONDS)
    await told.gathered()
    await told.until(delivered=1000)
    assert max(len(body["notifications"]) for _, body in hook.requests) == AT_ONCE
    summary = hook.told()[-1]
    assert (summary["type"], summary["count"], summary["name"]) == ("summary", 1000 - SHARE, "system")


async def test_what_a_user_does_during_an_outage_costs_the_system_nothing(told: Told, hook: Hook) -> None:
    hook.answers = [answering(500)]
    await told.send(hook.url, "crash")
    await told.time.sleeper(lambda seconds: seconds == 1.0)
    for minute in range(7):
        told.end(*[f"box{minute}-{n}" for n in range(620)], uid=1001)
        told.time.at += APART_SECONDS
    found = told.webhook.figures()
    assert found is not None and found.waiting == MOST
    told.webhook.try_now()
    beyond = 620 - SHARE  # in the summary of a minute that is not over
    await told.until(delivered=1 + 7 * 620 - beyond - found.outcomes["dropped"])
    names = [each["name"] for each in hook.told()]
    assert names[:2] == ["crash", "crash"] and hook.requests[-1][1]["lost"] == found.outcomes["dropped"] > 0
    assert names.count("uid 1001") == 4  # the summaries that were not among the oldest


async def test_the_end_of_the_agent_does_not_wait_for_a_full_queue(
    told: Told, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    hook.always = silent
    await told.tell(hook.url)
    for uid in range(MOST // SHARE):
        told.end(*[f"box{uid}-{n}" for n in range(SHARE)], uid=uid)
    await told.gathered()
    await hook.got()
    async with asyncio.timeout(5):  # an attempt may take 10 s
        await told.webhook.stop()
    assert f"{MOST} notifications were not delivered" in caplog.text
    assert not told.observes()


async def test_without_a_webhook_nothing_is_done_and_what_waits_is_dropped(told: Told, hook: Hook) -> None:
    assert told.webhook.figures() is None and not told.observes()
    hook.always = answering(500)
    await told.send(hook.url)
    await told.time.sleeper(lambda seconds: seconds == 1.0)
    await told.webhook.tell(Destination())
    assert told.webhook.figures() is None and not told.observes()
    await told.tell(hook.url)
    await told.until(dropped=1)


async def test_a_container_near_its_limit_is_told_without_a_client(hook: Hook, tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host")
    host.add("big", memory=950, cache=0, limit="1000")
    host.add("cached", memory=950, cache=500, limit="1000")
    host.add("unlimited", memory=950)
    async with telling(host) as told:
        await told.tell(hook.url)
        await told.gathered()
        await told.until(delivered=1)
        [found] = hook.told()
        assert (found["type"], found["id"], found["memoryUsage"]) == ("memory", container_id("big"), 950)


@pytest.mark.parametrize("known", [True, False])
async def test_a_certificate_is_checked(
    told: Told, tmp_path: Path, known: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ours = authority(tmp_path, "ours")
    pair = issue(tmp_path, "server", ours, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    async with webhook(context) as hook:
        await told.send(hook.url, ca=ours.cert if known else "")
        if known:
            await told.until(delivered=1)
        else:
            await told.time.sleeper(lambda seconds: seconds == 1.0)
            assert hook.requests == [] and "its certificate is not accepted" in caplog.text


async def test_authorities_in_a_fifo_are_none_and_no_thread_waits_for_them(
    told: Told, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(tmp_path / "ca")
    await told.send("https://127.0.0.1:1/", ca=f"{tmp_path}/ca")
    await told.time.sleeper(lambda seconds: seconds == 1.0)
    assert "not a regular file" in caplog.text


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("t0ken\n", {"Authorization": "Bearer t0ken"}),
        ("X-Key: abc def\n", {"X-Key": "abc def"}),
        ("", None),
        ("two words\n", None),
        ("X-A: b\nX-C: d\n", None),
        ("X-A: b\r\nX-C: d", None),
        ("Host: elsewhere\n", None),
        ("x" * 2000, None),
    ],
)
def test_the_secret_is_one_line(tmp_path: Path, text: str, header: dict[str, str] | None) -> None:
    file = tmp_path / "secret"
    file.write_text(text)
    if header is None:
        with pytest.raises(BadSecret) as raised:
            read_secret(str(file))
        assert "elsewhere" not in str(raised.value)
    else:
        assert read_secret(str(file)) == header


def test_a_secret_that_others_can_write_is_none(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("t0ken")
    file.chmod(0o666)
    with pytest.raises(BadSecret, match="other users may write"):
        read_secret(str(file))
    with pytest.raises(BadSecret, match="No such file"):
        read_secret(f"{tmp_path}/none")


async def test_a_secret_that_cannot_be_read_is_tried_again(told: Told, hook: Hook, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    await told.send(hook.url, secret=str(secret))
    await told.time.sleeper(lambda seconds: seconds == 1.0)
    secret.write_text("t0ken")
    told.webhook.try_now()
    await told.until(delivered=1)


def test_the_log_has_no_path() -> None:
    assert origin("https://hooks.example.org:8443/T0/B1?x=y") == "https://hooks.example.org:8443"
