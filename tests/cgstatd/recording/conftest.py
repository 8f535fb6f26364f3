"""What is read of a recording, as ``cgstatd stats`` does."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from cgroupfs import Root
from cgstatd.sampling.model import ContainerStats
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.sampling.sampler import Pending, Sampler

OPTIONS = HostOptions(follow=False)


def read(sampler: Sampler) -> dict[str, ContainerStats]:
    """Every container by its id, the identity with all metadata included."""
    found = [sampler.read(container, sampler.namespaces()) for container in sampler.containers()]
    done = [sampler.second(each) if isinstance(each, Pending) else each for each in found]
    return {each.identity.id: each for each in done if each is not None}


def figures(roots: Sequence[Root]) -> dict[str, ContainerStats]:
    """From the first reading to the last one."""
    earlier, sampler = open_host(roots[0], OPTIONS), open_host(roots[-1], OPTIONS)
    with closing(earlier), closing(sampler):
        if len(roots) > 1:
            for container in earlier.containers():
                earlier.baseline(container)
            sampler.continue_from(earlier)
        return read(sampler)
