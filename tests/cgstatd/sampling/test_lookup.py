"""From what a client wrote to a container, in Docker's order, with the system's containers first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import Descriptors, Hierarchy, Root
from cgstatd.host.discovery import CgroupRef
from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Match, Metadata, State
from cgstatd.sampling.container import Container
from cgstatd.sampling.lookup import Ambiguous, Known, NotFound, merge, on_disk, resolve

ID = {letter: letter * 64 for letter in "abcdef0123"}


def live(
    container_id: str, name: str, runtime: str = "docker", uid: int = 0, metadata: Metadata | None = None
) -> Container:
    """A container with a cgroup."""
    ref = CgroupRef(f"/{container_id}", Match(runtime, container_id), (("/sys/fs/cgroup", 1),), uid, uid)
    identity = Identity(container_id, name, runtime, uid, metadata)
    return Container(Root("/nowhere"), Hierarchy("unified", (), ()), ref, identity, Descriptors(0))


def stopped(container_id: str, name: str, runtime: str = "docker", uid: int = 0) -> Metadata:
    """A container that is on disk only."""
    return Metadata(runtime, container_id, name, state=State.EXITED, owner_uid=uid)


def known(*live_ones: Container, disk: tuple[Metadata, ...] = ()) -> list[Known]:
    return merge(live_ones, disk)


WEB, DB = live(ID["a"], "web"), live(ID["b"], "db")


@pytest.mark.parametrize("wanted", [ID["a"], "web", ID["a"][:12], "a", "docker:web", f"docker:{ID['a']}", "docker:a"])
def test_an_id_a_name_and_a_unique_prefix_find_the_container(wanted: str) -> None:
    assert resolve(wanted, known(WEB, DB)).target is WEB


@pytest.mark.parametrize(
    "wanted", ["", "c", "we", "eb", "Web", "/web", "podman:web", ":web", "docker:", ":", "web:docker"]
)
def test_anything_else_finds_none(wanted: str) -> None:
    with pytest.raises(NotFound):
        resolve(wanted, known(WEB, DB))
    with pytest.raises(NotFound):
        resolve(wanted, [])


def test_an_id_comes_before_a_name_and_a_name_before_a_prefix_of_an_id() -> None:
    named_like_an_id, named_like_a_prefix = live(ID["c"], ID["a"]), live(ID["c"], "aaaa")
    assert resolve(ID["a"], known(named_like_an_id, WEB)).target is WEB
    assert resolve("aaaa", known(WEB, named_like_a_prefix)).target is named_like_a_prefix
    assert resolve("aaa", known(WEB, named_like_a_prefix)).target is WEB


def test_an_ambiguous_prefix_names_the_candidates() -> None:
    other = live("a" * 63 + "b", "api")
    with pytest.raises(Ambiguous) as raised:
        resolve("aaa", known(WEB, other, DB))
    assert str(raised.value) == "aaa fits docker:web (aaaaaaaaaaaa), docker:api (aaaaaaaaaaaa)"
    assert resolve("a" * 64, known(WEB, other)).target is WEB


def test_an_ambiguous_name_is_settled_by_its_runtime() -> None:
    podmans = live(ID["c"], "web", "podman")
    lxcs = live("web", "web", "lxc")
    everything = known(WEB, podmans, DB)
    with pytest.raises(Ambiguous, match=r"docker:web \(aaaaaaaaaaaa\), podman:web \(cccccccccccc\)"):
        resolve("web", everything)
    assert resolve("podman:web", everything).target is podmans
    assert resolve("docker:web", everything).target is WEB
    assert resolve("lxc:web", known(WEB, podmans, lxcs)).target is lxcs


def test_many_candidates_are_not_all_named() -> None:
    with pytest.raises(Ambiguous) as raised:
        resolve("a", known(*(live(f"a{n:063}", f"n{n}") for n in range(30))))
    assert str(raised.value).count("docker:") == 10 and str(raised.value).endswith(", …")


def test_a_name_with_a_colon_is_found_as_it_is() -> None:
    odd = live("od:d", "od:d", "lxc")
    assert resolve("od:d", known(odd)).target is odd


# -- users


def test_a_users_container_is_found_where_the_system_has_none_and_those_of_one_name_are_ambiguous() -> None:
    mine, others = live(ID["c"], "mine", uid=1000), live(ID["d"], "mine", uid=1001)
    for wanted in ("mine", "c"):
        assert resolve(wanted, known(WEB, mine)).target is mine
    with pytest.raises(Ambiguous):
        resolve("mine", known(mine, others))


FORGED = [live(ID["a"], "web", runtime, 1000) for runtime in ("docker", "podman", "containerd")]
EXITED = stopped(ID["a"], "web")


@pytest.mark.parametrize("wanted", [ID["a"], "web", "a" * 12, "docker:web"])
@pytest.mark.parametrize(
    ("containers", "found"),
    [
        pytest.param(known(*FORGED, WEB), WEB, id="by a running one"),
        pytest.param(known(live(ID["c"], "a" * 12, uid=1000), WEB), WEB, id="by a name that is a prefix"),
        pytest.param(known(*FORGED, disk=(EXITED,)), EXITED, id="where the system's is stopped"),
        pytest.param(known(disk=(stopped(ID["a"], "web", uid=1000), EXITED)), EXITED, id="by metadata"),
    ],
)
def test_a_user_never_shadows_a_container_of_the_system(containers: list[Known], found: object, wanted: str) -> None:
    assert resolve(wanted, containers).target is found


# -- running and stopped


def test_a_running_container_is_not_listed_a_second_time_from_disk() -> None:
    metadata = Metadata("docker", ID["a"], "web", state=State.RUNNING)
    container = live(ID["a"], "web", metadata=metadata)
    mine = Metadata("podman", ID["c"], "mine", owner_uid=1000)
    watched_mine = live(ID["c"], "mine", "podman", 1000, mine)
    found = known(container, watched_mine, disk=(metadata, mine, stopped(ID["b"], "db")))
    assert [each.name for each in found] == ["web", "mine", "db"]
    assert found[0].target is container
    assert found[0].metadata is metadata
    assert [each.state for each in found] == [State.RUNNING, State.UNKNOWN, State.EXITED]
    assert (known(WEB)[0].state, known(WEB)[0].metadata) == (State.UNKNOWN, None)


def test_a_stopped_container_has_the_id_that_its_runtime_shows_and_a_name_as_safe_as_a_running_ones() -> None:
    assert on_disk(Metadata("containerd", ID["a"], "web", shown_id="shown")).id == "shown"
    for name, shown in (("we\nb\x1b[31m", "we\ufffdb\ufffd[31m"), ("x" * 10_000, "x" * 256), ("", "a" * 12)):
        assert on_disk(stopped(ID["a"], name)).name == shown


# -- any set of containers

names = st.sampled_from(["web", "db", "a", "aa", "ab", "docker:web", "a" * 64, ""])
ids = st.sampled_from(["a" * 64, "a" * 63 + "b", "ab" + "0" * 62, "b" * 64, "web", "a"])
runtime_names = st.sampled_from(["docker", "podman", "lxc"])
containers = st.lists(st.builds(live, ids, names, runtime_names, st.sampled_from([0, 0, 1000, 1001])), max_size=8)
wants = st.one_of(names, ids, st.builds("{}:{}".format, runtime_names, names), st.text(max_size=5))


@given(containers, wants)
def test_whatever_is_asked_the_answer_fits_and_is_alone_of_its_rank(everything: list[Container], wanted: str) -> None:
    candidates = known(*everything)
    runtime, _, rest = wanted.partition(":")
    system = [k for k in candidates if not k.owner_uid]
    try:
        found = resolve(wanted, candidates)
    except NotFound:
        assert not wanted or not [k for k in candidates if wanted in (k.id, k.name) or k.id.startswith(wanted)]
        return
    except Ambiguous as error:
        assert str(error).startswith(tuple(f"{each} fits " for each in (wanted, rest)))
        return
    direct = wanted in (found.id, found.name) or found.id.startswith(wanted)
    by_runtime = found.runtime == runtime and (rest in (found.id, found.name) or found.id.startswith(rest))
    assert direct or by_runtime
    if found.owner_uid:
        assert not [k for k in system if wanted in (k.id, k.name) or k.id.startswith(wanted)]
    if direct and found.id != wanted:
        assert not [k for k in candidates if k.id == wanted and bool(k.owner_uid) <= bool(found.owner_uid)]


@given(containers, wants, st.sampled_from([1000, 1001]))
def test_no_user_changes_what_the_system_has_found(everything: list[Container], wanted: str, uid: int) -> None:
    system = [each for each in everything if not each.identity.owner_uid]
    try:
        alone = resolve(wanted, known(*system)).target
    except (NotFound, Ambiguous):
        return
    forged = [live(each.identity.id, each.identity.name, each.identity.runtime, uid) for each in everything]
    assert resolve(wanted, known(*forged, *everything)).target is alone
