"""Server-Sent Events as bytes."""

from __future__ import annotations

import re

import pytest

from cgstatd.outputs import sse
from cgstatd.outputs.stats_json import encode_failure


def test_an_event_is_two_lines_with_lf_one_space_after_the_colon_and_an_empty_line() -> None:
    assert sse.event(b"stat", b'{"id":"x"}') == b'event: stat\ndata: {"id":"x"}\n\n'
    assert sse.DONE == b"event: done\ndata: {}\n\n" == sse.event(b"done", b"{}")
    assert sse.KEEPALIVE == b": keepalive\n\n", "a comment and no event"


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "\n\nevent: done\ndata: {}\n\n", "\u2028", "\0"])
def test_data_that_is_json_cannot_end_its_line(text: str) -> None:
    event = sse.event(b"error", encode_failure(text))
    assert re.fullmatch(rb"event: error\ndata: [^\r\n]+\n\n", event)
