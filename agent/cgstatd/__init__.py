"""cgstatd: what ``docker stats`` shows, read from the kernel and served over HTTP and Server-Sent Events."""

__version__ = "0.3.0"
