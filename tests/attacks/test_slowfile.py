"""The thread behind a slow file ends when the file is gone, and leaves no descriptor."""

from __future__ import annotations

import os

import pytest

from attacks import slowfile


@pytest.mark.parametrize("left", [b"", b"\0" * 12], ids=["nothing", "a part of a header"])
def test_it_ends_where_no_whole_request_comes(left: bytes) -> None:
    requests, kernel = os.pipe()
    os.write(kernel, left)
    os.close(kernel)
    slowfile._serve(requests, bytes, lambda: None)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(requests)
