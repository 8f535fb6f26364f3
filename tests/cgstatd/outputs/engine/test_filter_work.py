"""What a request's filters cost: a container's own words are looked up once each, whatever a client has written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgstatd.host.identity import Identity
from cgstatd.host.runtimes.base import Endpoint, Metadata, Port, State
from cgstatd.outputs.engine import container_filters, events
from cgstatd.outputs.engine.container_filters import FILTERS, chosen
from cgstatd.outputs.engine.containers import Listed
from cgstatd.outputs.engine.filters import MOST_VALUES, BadFilter, parse_filters

SEVERAL = 30
PORTS = tuple(Port(number, "tcp", 10_000 + number) for number in range(1, 65))
NETWORKS = tuple(Endpoint(f"net{number}", f"{number:064x}") for number in range(16))


class Counted(tuple[Any, ...]):
    """Counts the items that are looked at."""

    __slots__ = ()
    looked = 0

    def __iter__(self) -> Iterator[Any]:
        for each in super().__iter__():
            Counted.looked += 1
            yield each


@pytest.fixture
def several() -> list[Listed]:
    """Containers with as many ports and networks as are kept."""
    Counted.looked = 0
    found = []
    for number in range(SEVERAL):
        metadata = Metadata(
            "docker", f"{number:064x}", f"c{number}", image=f"web{number}", state=State.RUNNING,
            ports=Counted(PORTS), endpoints=Counted(NETWORKS), labels={"app": "web"},
        )  # fmt: skip
        found.append(Listed(Identity(metadata.id, metadata.name, "docker", 0, metadata), State.RUNNING, True))
    return found


def ask(several: list[Listed], name: str, values: list[str]) -> list[Listed]:
    filters = parse_filters(json.dumps({name: values}), FILTERS)
    return chosen(several, filters, everything=True, limit=0)


@pytest.mark.parametrize("name", ["publish", "expose", "network"])
@pytest.mark.parametrize("number", [1, MOST_VALUES])
def test_each_item_of_a_container_is_looked_at_once(several: list[Listed], name: str, number: int) -> None:
    assert ask(several, name, [f"{9000 + each}/udp" for each in range(number)]) == []
    assert Counted.looked <= SEVERAL * (len(PORTS) + len(NETWORKS))


@pytest.mark.parametrize(
    ("name", "value"),
    [("id", "{:08x}f"), ("ancestor", "nginx{}"), ("ancestor", "{:08x}"), ("name", "^x{}$"), ("name", "^x{}")],
)
def test_one_more_value_is_free(several: list[Listed], name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's id, image and name are each hashed as often as the values have lengths."""
    texts: list[str] = []

    class Word(str):
        __slots__ = ()

        def __getitem__(self, key: Any) -> str:
            texts.append(self)
            return str(self)[key]

        def startswith(self, *_more: Any) -> bool:
            texts.append(self)
            return super().startswith(*_more)

    def counted(each: Listed) -> Listed:
        identity = each.identity
        return each._replace(identity=identity._replace(id=Word(identity.id), name=Word(identity.name)))

    found = ask([counted(each) for each in several], name, [value.format(each) for each in range(MOST_VALUES)])
    assert found == [] and len(texts) <= SEVERAL * 3


@given(
    st.lists(st.text("abc-", min_size=1, max_size=6), max_size=12), st.sets(st.text("abc-\n", max_size=3), max_size=6)
)
def test_parts_of_names_are_found_in_all_of_them(names: list[str], parts: set[str]) -> None:
    expected = {name for name in names if any(part in name for part in parts)}
    assert container_filters._with_a_part(names, parts) == expected


def test_each_part_of_a_name_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the names that none was found in yet."""
    looked: list[int] = []

    class Text(str):
        __slots__ = ()

        def find(self, *args: Any) -> int:
            looked.append(len(self))
            return super().find(*args)

    text = container_filters._text
    monkeypatch.setattr(container_filters, "_text", lambda names: Text(text(names)))
    names = [f"c{number}" for number in range(2000)]
    assert container_filters._with_a_part(names, [f"zz{number:x}" for number in range(MOST_VALUES)]) == set()
    assert len(looked) == MOST_VALUES
    looked.clear()
    assert len(container_filters._with_a_part(names, [f"c{number}" for number in range(MOST_VALUES)])) == 2000
    assert len(looked) <= MOST_VALUES + 2 * len(names)


def test_more_values_than_are_looked_for_are_refused() -> None:
    values = [f"x{number}" for number in range(MOST_VALUES + 1)]
    for text in (json.dumps({"name": values}), json.dumps({"name": values[:200], "id": dict.fromkeys(values, True)})):
        for known in (FILTERS, events.FILTERS | {"name", "id"}):
            with pytest.raises(BadFilter, match=f"a request has {MOST_VALUES} values at most, this one has "):
                parse_filters(text, known)
    assert len(parse_filters(json.dumps({"name": values[:MOST_VALUES]}), FILTERS)["name"]) == MOST_VALUES


@pytest.mark.parametrize("key", ["before", "since"])
def test_a_border_is_one_container(several: list[Listed], key: str) -> None:
    with pytest.raises(BadFilter, match=f"invalid filter '{key}': it takes one container"):
        ask(several, key, ["c1", "c2"])


def test_an_event_is_taken_apart_once_and_only_where_its_attributes_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, several: list[Listed]
) -> None:
    made = [events.event("start", each.identity, number) for number, each in enumerate(several)]
    taken: list[bytes] = []
    decode = events._decode

    def noted(line: bytes) -> Any:
        taken.append(line)
        return decode(line)

    monkeypatch.setattr(events, "_decode", noted)
    wanted = [f"{number:x}yyyyyyy" for number in range(MOST_VALUES - 2)]
    for filters, most in (
        ({"event": ["die"], "container": wanted}, 0), ({"type": ["network"], "container": wanted}, 0),
        ({"container": wanted}, SEVERAL), ({"image": wanted, "label": ["app=no"], "container": ["c"]}, SEVERAL),
    ):  # fmt: skip
        taken.clear()
        fits = events.wanted(parse_filters(json.dumps(filters), events.FILTERS))
        assert not [each for each in made if fits(each)] and len(taken) <= most, filters
