"""Where events lie in the stream's response."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cgstatd.outputs.stream_slots import (
    PERIOD_BYTES,
    Layout,
    chunk,
    least_padding,
    padding,
    slot_end,
    step_of,
    write_of,
)


@given(st.integers(0, 9000), st.booleans())
def test_padding_is_a_comment_of_any_length(more: int, chunked: bool) -> None:
    size = least_padding(chunked) + more
    found = padding(size, chunked)
    assert len(found) == size
    if chunked:
        length, _, rest = found.partition(b"\r\n")
        assert rest.endswith(b"\r\n") and int(length, 16) == len(rest) - 2
        found = rest[:-2]
    assert found.startswith(b":") and found.endswith(b"\n\n") and found[1:-2].strip(b" ") == b""


@given(
    st.lists(st.integers(1, 6000), max_size=60), st.sampled_from([65483, 9000, 1448, 1208, 536, 88]), st.booleans(),
    st.integers(1, 700),
)  # fmt: skip
def test_no_piece_lies_across_the_end_of_a_slot(sizes: list[int], segment: int, chunked: bool, head: int) -> None:
    step, longest = step_of(segment), write_of(segment)
    events = [bytes([65 + n % 26]) * size for n, size in enumerate(sizes)]
    pieces = [chunk(event) if chunked else event for event in events]
    layout = Layout(head, head, step, longest, chunked)
    layout.add(pieces)
    layout.fill()
    rest = Layout(layout.position, 0, step, longest, chunked)
    rest.finish(b"end")
    position, bounds = 0, {head}
    pieces = pieces or layout.writes
    writes = [b"H" * head + layout.writes[0], *layout.writes[1:]] if pieces else [b"H" * head]
    for data in writes:
        position += len(data)
        bounds.add(position)
        assert not pieces or position == slot_end(position - 1, step)
    whole = b"".join(writes)
    assert layout.position == (len(whole) if pieces else head) and rest.writes == [b"end"]
    found, at = [], head
    for piece in pieces if events else []:
        at = whole.index(piece, at)
        across = range(at // PERIOD_BYTES + 1, (at + len(piece) - 1) // PERIOD_BYTES + 1)
        assert len(piece) > PERIOD_BYTES - least_padding(chunked) or not across
        assert len(piece) > step - least_padding(chunked) or at + len(piece) <= slot_end(at, step)
        found.append(at)
        at += len(piece)
    assert found == sorted(found)
    assert all(len(data) <= longest or max(map(len, pieces)) > step - least_padding(chunked) for data in writes[1:])


def test_nothing_follows_in_the_slots_of_a_piece_that_no_comment_fits_behind() -> None:
    layout = Layout(4096, 0, 512, 512, chunked=True)
    layout.add([b"A" * 505, b"B" * 8])
    layout.fill()
    assert [len(data) for data in layout.writes] == [1024, 512]
    assert layout.writes[1].startswith(b"B" * 8)


def test_a_segment_of_any_size_has_slots_that_divide_what_clients_read() -> None:
    assert [step_of(size) for size in (65483, 8948, 4096, 1460, 1428, 1400, 1208, 1000, 536, 88)] == [
        4096, 4096, 4096, 1428, 1428, 1200, 1200, 512, 512, 512,
    ]  # fmt: skip
    assert [write_of(size) for size in (65483, 20000, 8948, 4096, 1460, 536)] == [16384, 16384, 8192, 4096, 1428, 512]
    assert 65536 % PERIOD_BYTES == 0
