"""What top knows and shows, without a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("rich", reason="no rich: pip install 'cgstatd[top]'")

from cgstatd.outputs.follow_types import FollowExit, FollowHello, FollowRound, FollowStat
from cgstatd.outputs.history_types import ContainerLines, HistoryLines
from cgstatd.top.app import SORTS
from cgstatd.top.events import Parser
from cgstatd.top.keys import decode
from cgstatd.top.keys_help import help_body
from cgstatd.top.model import ENDED_SECONDS, POINTS, Model
from cgstatd.top.spark import PLAIN, spark
from cgstatd.top.view import Screen, fit, shown_columns, table_lines


def stat(name: str, cpu: float | None = 0.0, memory: int | None = 1 << 20, **more: Any) -> FollowStat:
    """One container's event."""
    figures: dict[str, Any] = dict.fromkeys(FollowStat.__struct_fields__)
    figures |= {"id": name * 8, "name": name, "runtime": "docker", "state": "running", "owner_uid": 0, "timestamp": 0}
    return FollowStat(**(figures | {"cpu_percent": cpu, "memory_usage": memory} | more))


def end(apart: float = 1.0, late: Sequence[str] = ()) -> FollowRound:
    interval = 1.0
    return FollowRound(
        round=1,
        interval=interval,
        effective_interval=apart,
        containers=1,
        seconds=0.0,
        overruns=0,
        late=list(late),
        timestamp=0,
    )


def told(*stats: FollowStat, sort: str = "cpu") -> Model:
    model = Model(sort)
    model.take(FollowHello(env=1, interval=1.0, version="1", resumed=False))
    for each in stats:
        assert not model.take(each)
    assert model.take(end())
    return model


def names(model: Model) -> list[str]:
    return [entry.stat.name for _, entry in model.rows()]


def screen(model: Model, width: int = 80, height: int = 24, seen: Screen | None = None) -> list[str]:
    return [line.plain for line in table_lines(model, seen or Screen(), width, height)]


def test_who_is_late_stays_with_a_gap_and_a_mark_and_who_is_gone_goes() -> None:
    model = told(stat("a", 9.0), stat("b", 5.0), stat("c", 1.0))
    model.take(stat("c", 2.0))
    model.take(end(late=["a" * 8]))
    assert names(model) == ["a", "c"]
    late, there = (entry for _, entry in model.rows())
    assert (late.late, list(late.cpu), late.stat.cpu_percent) == (True, [9.0, None], 9.0) and not there.late
    assert "a …" in "\n".join(screen(model)) and "c …" not in "\n".join(screen(model))
    model.take(stat("a", 3.0))
    model.take(end())
    assert not model.rows()[0][1].late


def test_lines_begin_before_the_first_round_where_the_agent_has_a_history() -> None:
    model = told(stat("a", 9.0, 5, network_rx_rate=1, network_tx_rate=2), stat("new", 1.0))
    model.at_ms = 1_000_000
    assert model.since_ms() == 1_000_000 - POINTS * 1000
    figures: dict[str, list[float | None]] = {"cpuPercent": [1.0, None, 3.0], "networkRxRate": [10, 20, 30],
                                              "networkTxRate": [1, 2, 3], "memoryUsage": [7, 8, 9]}  # fmt: skip
    line = ContainerLines(id="a" * 8, name="a", runtime="docker", owner_uid=0, figures=figures)
    model.remember(
        HistoryLines(
            interval=10, step=10, since=977_000, until=997_000, timestamps=[977_000, 987_000, 997_000], gaps=[],
            containers=[line],
        )
    )  # fmt: skip
    entries = {key[2][:1]: entry for key, entry in model.entries.items()}
    assert len(entries["a"].cpu) == POINTS and list(entries["n"].cpu) == [1.0]
    assert list(entries["a"].cpu)[-34:] == [None] + [1.0] * 10 + [None] * 10 + [3.0] * 12 + [9.0]
    assert list(entries["a"].network)[-3:] == [33, 33, 3] and list(entries["a"].memory)[-2:] == [9, 5]


def test_what_is_not_known_sorts_last_in_either_direction() -> None:
    model = told(stat("a", None), stat("b", 5.0), stat("c", 7.0))
    assert names(model) == ["c", "b", "a"]
    model.sort_by("cpu")
    assert names(model) == ["b", "c", "a"]


def test_equal_figures_sort_by_name_and_do_not_move() -> None:
    assert names(told(stat("b"), stat("A"), stat("c"))) == ["A", "b", "c"]


def test_the_filter_looks_at_name_id_runtime_and_project() -> None:
    model = told(stat("web", project="shop"), stat("db", runtime="podman"))
    for text, found in (("SHOP", ["web"]), ("podman d", ["db"]), ("docker db", []), ("webweb", ["web"])):
        model.filter = text
        assert names(model) == found


def test_a_container_that_ended_stays_marked_for_a_while() -> None:
    model = told(stat("a"), stat("b"))
    last = stat("a")
    event = FollowExit(id=last.id, name="a", runtime="docker", exit_code=137, oom_killed=True, last=last, timestamp=0)
    model.take(event, now=100.0)
    model.take(stat("b"))
    model.take(end(), now=101.0)
    assert names(model) == ["a", "b"] and "a ✝" in "\n".join(screen(model))
    assert model.last_event.endswith("a ended with 137, OOM-killed")
    model.take(stat("b"))
    model.take(end(), now=101.0 + ENDED_SECONDS)
    assert names(model) == ["b"]


def test_a_lost_stream_leaves_the_figures_and_a_gap() -> None:
    model = told(stat("a", 5.0))
    model.lost("connection refused")
    assert "agent gone: connection refused" in screen(model)[0]
    assert next(iter(model.entries.values())).cpu[-1] is None
    model.take(FollowHello(env=1, interval=1.0, version="1", resumed=True))
    assert "gone" not in screen(model)[0]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (40, 10), (20, 5), (5, 3)])
def test_every_line_is_exactly_as_wide_as_the_terminal(width: int, height: int) -> None:
    model = told(stat("x" * 300, 12345.6, 1 << 50), stat("容器" * 40), stat("a", None, None))
    lines = screen(model, width, height)
    assert len(lines) == height
    from rich.cells import cell_len

    assert all(cell_len(line) <= width for line in lines), lines


def test_eighty_columns_show_the_figures_that_matter() -> None:
    columns, name_width = shown_columns(80)
    assert [column.title for column in columns if column.title] == [
        "CPU %", "MEM", "MEM %", "RX/s", "TX/s", "READ/s", "PIDS",
    ]  # fmt: skip
    assert name_width >= 14


def test_the_selected_row_stays_in_view_and_selected_when_the_order_changes() -> None:
    model = told(*(stat(f"c{n:03}", float(n)) for n in range(100)))
    seen = Screen()
    screen(model, seen=seen)
    seen.selected = model.rows()[60][0]
    assert "c039" in "\n".join(screen(model, seen=seen))
    model.sort_by("name")
    assert "c039" in "\n".join(screen(model, seen=seen))
    assert seen.selected is not None and seen.selected[2] == "c039" * 8


def test_wide_characters_count_twice() -> None:
    assert fit("容器", 5) == "容器 "
    assert fit("容器容器", 5) == "容器…"
    assert fit("12", 4, right=True) == "  12"


def test_sparklines_have_gaps_and_zeros_and_scale() -> None:
    assert spark([None, 0.0, 1.0, 50.0, 100.0], 6, 0.0) == "  ▁▂▄█"
    assert spark([1.0] * 20, 4, 10.0) == "▂▂▂▂"
    assert spark([0.0, 100.0], 2, 0.0, PLAIN) == ".@"


def test_the_real_distance_of_readings_is_said() -> None:
    model = told(stat("a"))
    assert "every" not in screen(model)[0]
    model.take(end(apart=3.0))
    assert screen(model)[0].rstrip().endswith("every 3 s")


def test_every_key_that_sorts_is_in_the_list_of_keys_and_the_list_fits() -> None:
    lines = [line.plain for line in help_body()]
    assert len(lines) <= 21 and max(map(len, lines)) <= 80
    [sorting] = [line for line in lines if "sort: name" in line]
    assert set(SORTS) <= set(sorting[:20].split())


def test_keys_by_name() -> None:
    assert list(decode("\x1b[A\x1bOB\x1b[5~q/\r\x7f\x1b")) == [
        "up", "down", "pageup", "q", "/", "enter", "backspace", "escape",
    ]  # fmt: skip
    assert list(decode("\x1b[200~\x1b[?1;2c")) == ["escape", "[", "?", "1", ";", "2", "c"]  # nothing we know


def test_a_stream_in_pieces_is_the_same_stream() -> None:
    data = b'event: failed\nid: a-1\ndata: {"error":"x","timestamp":1}\n\n: keepalive\n\nevent: news\ndata: {}\n\n'
    parser = Parser()
    found = [event for at in range(len(data)) for event in parser.feed(data[at : at + 1])]
    assert len(found) == 1 and parser.last_id == "a-1"


def test_what_waits_is_said_in_the_last_line() -> None:
    waits = '{"id":"1","name":"web","runtime":"docker","resource":"cpu","stalledPercent":42.0,"cause":"own_limit",'
    waits += '"limit":"cpu.max","limitValue":0.5,"cgroup":"/web","throttledPercent":98.0,"refaultsPerSecond":null,'
    waits += '"device":null,"unit":"cores","own":0.5,"neighbours":[],"text":"web waits for CPU\\n: because"}'
    event = f'{{"resources":["cpu"],"seconds":1.5,"validSeconds":15.5,"waits":[{waits}],"more":0,"timestamp":1}}'
    (parsed,) = Parser().feed(f"event: pressure\nid: a-1\ndata: {event}\n\n".encode())
    model = Model("cpu")
    assert model.take(parsed)
    assert model.last_event.endswith("web waits for CPU\N{REPLACEMENT CHARACTER}: because")
