"""Accept: which of two formats is preferred, whatever else the header says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgstatd.outputs.negotiation import OPENMETRICS, TEXT, Format, negotiate

PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_2_26 = "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


HEADERS = {
    TEXT: [
        "", "*/*", BROWSER, "image/png", "application/*",
        # versions that are not written here
        PROMETHEUS_2_26, "application/openmetrics-text;version=2.0.0", "application/openmetrics-text;version=1.0",
        'application/openmetrics-text;version=""', "application/openmetrics-text;version=2.\u0661",
        # weights
        "application/openmetrics-text;q=0", "application/openmetrics-text;q=0,text/plain",
        "application/openmetrics-text;q=0.000", "application/openmetrics-text;q=0.2,text/plain;q=0.3",
        "application/openmetrics-text;q=0.5,*/*", "application/openmetrics-text;q=x,text/plain;q=0.1",
        "application/openmetrics-text;q=\u0661",
        # the more exact range decides, whatever the order
        "application/openmetrics-text;version=1.0.0;q=0,application/openmetrics-text",
        "application/openmetrics-text,application/openmetrics-text;version=1.0.0;q=0",
        "text/*;q=0.1,text/plain;q=0.9,application/openmetrics-text;q=0.5",
        # commas and semicolons in quotes; quotes without an end
        'text/html;x="a,application/openmetrics-text"', 'application/openmetrics-text;version="1.0.0', ";;;,,,=,;q=1",
    ],
    OPENMETRICS: [
        "application/openmetrics-text", "Application/OpenMetrics-Text", "application/openmetrics-text;version=1.0.0",
        'application/openmetrics-text;version="1.0.0"', 'application/openmetrics-text ; Version = "1\\.0.0" ; q=0.3',
        PROMETHEUS_3,
        "application/openmetrics-text;version=2.7.1,application/openmetrics-text;version=1.0.0;q=0.1",
        "application/openmetrics-text;q=0.3,text/plain;q=0.2", "text/plain,application/openmetrics-text",
        'application/openmetrics-text;x="a;q=0";q=0.4',
    ],
}  # fmt: skip


@pytest.mark.parametrize("expected", HEADERS, ids=["text", "openmetrics"])
def test_what_is_preferred(expected: Format) -> None:
    assert [accept for accept in HEADERS[expected] if negotiate(accept) is not expected] == []


@given(st.text(max_size=200) | st.text(alphabet='aptex/lion-mrs;,="\\ q.01*v', max_size=200))
def test_any_header_means_one_of_the_two(accept: str) -> None:
    assert negotiate(accept) in (TEXT, OPENMETRICS)


def test_what_is_answered_is_a_constant() -> None:
    assert OPENMETRICS.content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert TEXT.content_type == "text/plain; version=0.0.4; charset=utf-8"
