"""Accept-Encoding: gzip or as it is, whatever else the header says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgstatd.outputs.content_codings import SMALLEST_BYTES, Accepted, accepted

GZIP, AS_IT_IS = Accepted(gzip=True, identity=True), Accepted(gzip=False, identity=True)
ONLY_GZIP, NEITHER = Accepted(gzip=True, identity=False), Accepted(gzip=False, identity=False)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, AS_IT_IS),
        ("", AS_IT_IS),
        ("gzip", GZIP),
        ("GZip", GZIP),
        ("x-gzip", GZIP),
        ("gzip, deflate, br, zstd", GZIP),  # a browser
        ("deflate, gzip", GZIP),  # curl --compressed
        ("identity", AS_IT_IS),  # wget
        ("br", AS_IT_IS),
        ("gzipped, xgzip, gz", AS_IT_IS),
        ("*", GZIP),
        ("br, *", GZIP),
        # weights
        ("gzip;q=0.5", GZIP),
        ("gzip;q=0", AS_IT_IS),
        ("gzip;q=0.000", AS_IT_IS),
        ("gzip ; Q = 0.001", GZIP),
        ("gzip;q=0.5, identity;q=0.5", GZIP),
        ("gzip;q=0.5, identity", AS_IT_IS),
        ("gzip;q=0.5, identity;q=0.6", AS_IT_IS),
        ("gzip;q=0.5, br;q=1.0", GZIP),
        ("*;q=0.5, identity", AS_IT_IS),
        ("gzip;q=0, *", AS_IT_IS),
        ("gzip;q=9", GZIP),
        ("gzip, gzip;q=0", AS_IT_IS),
        ("gzip;q=0, x-gzip", AS_IT_IS),
        # the answer as it is is not wanted
        ("gzip, identity;q=0", ONLY_GZIP),
        ("gzip, *;q=0", ONLY_GZIP),
        ("identity;q=0, *;q=0.1", ONLY_GZIP),
        ("gzip;q=0.1, *;q=0, identity;q=0.1", GZIP),
        ("*;q=0", NEITHER),
        ("br, identity;q=0", NEITHER),
        # not well-formed
        (",,gzip,", GZIP),
        (";q=1, gzip", GZIP),
        ("gzip;q=", AS_IT_IS),
        ("gzip;q=x", AS_IT_IS),
        ("gzip;q=-1", AS_IT_IS),
        ("gzip;q=1e9", AS_IT_IS),
        ("gzip;q=nan", AS_IT_IS),
        ("gzip;level=9", AS_IT_IS),
        ("gzip;q=1;q=0", AS_IT_IS),
        ('"gzip"', AS_IT_IS),
        ("gz\u0131p", AS_IT_IS),  # LATIN SMALL LETTER DOTLESS I
        ("gzip;q=\u0661", AS_IT_IS),  # ARABIC-INDIC DIGIT ONE
        ("gzip," * 200 + "gzip", AS_IT_IS),
    ],
)
def test_the_client_prefers(header: str | None, expected: Accepted) -> None:
    assert accepted(header) == expected


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
