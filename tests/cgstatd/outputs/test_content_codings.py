"""Accept-Encoding: gzip or as it is, whatever else the header says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgstatd.outputs.content_codings import SMALLEST_BYTES, Accepted, accepted

GZIP, AS_IT_IS = Accepted(gzip=True, identity=True), Accepted(gzip=False, identity=True)
ONLY_GZIP, NEITHER = Accepted(gzip=True, identity=False), Accepted(gzip=False, identity=False)


HEADERS: dict[Accepted, list[str | None]] = {
    AS_IT_IS: [
        None, "", "identity", "br", "gzipped, xgzip, gz",  # wget asks for identity
        "gzip;q=0", "gzip;q=0.000", "gzip;q=0.5, identity", "gzip;q=0.5, identity;q=0.6", "*;q=0.5, identity",
        "gzip;q=0, *", "gzip, gzip;q=0", "gzip;q=0, x-gzip",
        # not well-formed
        "gzip;q=", "gzip;q=x", "gzip;q=-1", "gzip;q=1e9", "gzip;q=nan", "gzip;level=9", "gzip;q=1;q=0", '"gzip"',
        "gz\u0131p",  # LATIN SMALL LETTER DOTLESS I
        "gzip;q=\u0661",  # ARABIC-INDIC DIGIT ONE
        "gzip," * 200 + "gzip",
    ],
    GZIP: [
        "gzip", "GZip", "x-gzip", "*", "br, *", ",,gzip,", ";q=1, gzip", "gzip;q=9",
        "gzip, deflate, br, zstd",  # a browser
        "deflate, gzip",  # curl --compressed
        "gzip;q=0.5", "gzip ; Q = 0.001", "gzip;q=0.5, identity;q=0.5", "gzip;q=0.5, br;q=1.0",
        "gzip;q=0.1, *;q=0, identity;q=0.1",
    ],
    ONLY_GZIP: ["gzip, identity;q=0", "gzip, *;q=0", "identity;q=0, *;q=0.1"],
    NEITHER: ["*;q=0", "br, identity;q=0"],
}  # fmt: skip


@pytest.mark.parametrize("expected", HEADERS, ids=["as it is", "gzip", "gzip alone", "neither"])
def test_the_client_prefers(expected: Accepted) -> None:
    assert [header for header in HEADERS[expected] if accepted(header) != expected] == []


def test_a_small_answer_is_compressed_only_where_it_is_not_taken_as_it_is() -> None:
    assert [GZIP.compressed(size) for size in (0, SMALLEST_BYTES - 1, SMALLEST_BYTES)] == [False, False, True]
    assert ONLY_GZIP.compressed(1)
    assert not NEITHER.compressed(SMALLEST_BYTES) and not AS_IT_IS.compressed(SMALLEST_BYTES)


@given(st.text(st.sampled_from('gzip,;=q*.01identy"x- \t\u0130'), max_size=60))
def test_every_header_has_an_answer(header: str) -> None:
    found = accepted(header)
    assert found.identity or "0" in header, "what is not refused is taken"
    assert not found.gzip or "gzip" in header or "*" in header


@given(st.lists(st.sampled_from(["br", "zstd;q=0.3", "deflate;q=0", "dcb"])), st.sampled_from(["gzip", "gzip;q=0"]))
def test_codings_that_are_not_written_change_nothing(others: list[str], ours: str) -> None:
    assert accepted(", ".join([*others, ours])) == accepted(ours)
