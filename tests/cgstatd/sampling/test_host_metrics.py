"""The host's figures in /metrics: parsers, what is absent, names and labels, and the real kernel."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from pyfakefs.fake_filesystem import FakeFilesystem

from cgroupfs import ParseError, Root
from cgstatd.host.procfs.host_stat import CpuTimes, parse_cpu_times
from cgstatd.host.procfs.meminfo import parse_page_counts
from cgstatd.host.procfs.uname import Uname, read_uname
from cgstatd.host.procfs.uname import parse_text as parse_sysctl
from cgstatd.outputs.host_metric_lines import host_lines
from cgstatd.sampling.host_metrics import HostMetrics, HostMetricsReader

STAT = "cpu  30 3 6 900 9 0 3 6 1 0\ncpu0 10 1 2 300 3 0 1 2 1 0\ncpu3 20 2 4 600 6 0 2 4 0 0\nbtime 1795606461\n"
NET_DEV = (
    "Inter-|   Receive  |  Transmit\n face |bytes\n"
    "    lo: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n  eth0: 11 12 13 14 0 0 0 0 15 16 17 18 0 0 0 0\n"
    "veth12ab: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n"
)
PRESSURE = "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n"
GOOD = {
    "stat": STAT,
    "meminfo": "MemTotal: 8 kB\nActive(anon): 2 kB\nHugePages_Total: 7\nMemAvailable: 4 kB\n",
    "loadavg": "0.50 0.25 0.10 1/20 99\n",
    "pressure/cpu": PRESSURE,
    "pressure/io": PRESSURE,
    "pressure/memory": PRESSURE,
    "pressure/irq": PRESSURE.splitlines()[1] + "\n",
    "1/net/dev": NET_DEV,
    "sys/kernel/ostype": "Linux\n",
    "sys/kernel/hostname": "web1\n",
    "sys/kernel/osrelease": "6.12.0\n",
    "sys/kernel/version": '#1 "SMP"\n',
    "sys/kernel/domainname": "(none)\n",
    "sys/kernel/arch": "riscv64\n",
}
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(fs: FakeFilesystem, **changes: str | None) -> tuple[HostMetrics, list[str]]:
    """A reading of a host below /host, and what was said; None: the file is not there."""
    for name, text in (GOOD | changes).items():
        if text is not None:
            fs.create_file(f"/host/proc/{name}", contents=text)
    said: list[str] = []
    return HostMetricsReader(Root("/host"), said.append).read(), said


def series(host: HostMetrics, openmetrics: bool = False) -> Series:
    text = "".join(f"{line}\n" for line in host_lines(host, openmetrics))
    parse: Callable[[str], Iterable[Metric]] = parse_openmetrics if openmetrics else parse_text
    families = parse(text + "# EOF\n" * openmetrics)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def names(found: Series) -> set[str]:
    return {name for name, _ in found}


@pytest.mark.parametrize("openmetrics", [False, True])
def test_every_figure_has_node_exporters_name_and_labels(fs: FakeFilesystem, openmetrics: bool) -> None:
    host, said = read(fs)
    found = series(host, openmetrics)
    assert said == []
    assert found["node_cpu_seconds_total", (("cpu", "3"), ("mode", "iowait"))] == 0.06
    assert sorted(cpu for name, labels in found if name == "node_cpu_seconds_total" for _, cpu in labels[:1]) == (
        ["0"] * 8 + ["3"] * 8
    )
    assert found["node_memory_MemTotal_bytes", ()] == 8192
    assert found["node_memory_Active_anon_bytes", ()] == 2048
    assert found["node_memory_HugePages_Total", ()] == 7
    assert [found[f"node_load{n}", ()] for n in (1, 5, 15)] == [0.5, 0.25, 0.1]
    waiting = [found[f"node_pressure_{resource}_waiting_seconds_total", ()] for resource in ("cpu", "io", "memory")]
    stalled = [found[f"node_pressure_{resource}_stalled_seconds_total", ()] for resource in ("io", "memory", "irq")]
    assert (waiting, stalled) == ([2.5] * 3, [0.5] * 3)
    assert "node_pressure_cpu_stalled_seconds_total" not in names(found)
    for n, word in enumerate(("bytes", "packets", "errs", "drop")):
        assert found[f"node_network_receive_{word}_total", (("device", "eth0"),)] == 11 + n
        assert found[f"node_network_transmit_{word}_total", (("device", "eth0"),)] == 15 + n
    assert not [labels for _, labels in found if ("device", "veth12ab") in labels]
    assert found["node_boot_time_seconds", ()] == 1795606461
    assert abs(found["node_time_seconds", ()] - time.time()) < 3600
    uname = {"sysname": "Linux", "nodename": "web1", "release": "6.12.0", "version": '#1 "SMP"', "machine": "riscv64",
             "domainname": "(none)"}  # fmt: skip
    assert found["node_uname_info", tuple(sorted(uname.items()))] == 1


FAMILIES = {
    "stat": ("node_cpu_", "node_boot_"), "meminfo": ("node_memory_",), "loadavg": ("node_load",),
    "pressure/io": ("node_pressure_io_",), "1/net/dev": ("node_network_",), "sys/kernel/hostname": ("node_uname_",),
}  # fmt: skip


@pytest.mark.parametrize("path", FAMILIES)
@pytest.mark.parametrize("text", [None, "", "nonsense\n", "\x00\n"])
def test_what_cannot_be_read_costs_its_own_series_alone(fs: FakeFilesystem, path: str, text: str | None) -> None:
    host, said = read(fs, **{path: text})
    found = names(series(host))
    if path != "sys/kernel/hostname" or not text:  # any text is a name
        assert not [name for name in found if name.startswith(FAMILIES[path])]
    for other in FAMILIES.keys() - {path}:
        assert [name for name in found if name.startswith(FAMILIES[other])], other
    told = text is not None and not path.startswith("sys")
    assert [path in sentence for sentence in said] == [True] * told


def test_a_host_that_says_nothing_has_the_time_alone(fs: FakeFilesystem) -> None:
    host, said = read(fs, **dict.fromkeys(GOOD))
    assert names(series(host)) == {"node_time_seconds"} and said == []


def test_names_are_input(fs: FakeFilesystem) -> None:
    evil = NET_DEV + '  e"} 1\t: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n' + "".join(
        f"e{n}: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n" for n in range(500)
    )  # fmt: skip
    host, _ = read(fs, **{"1/net/dev": evil, "meminfo": 'MemTotal: 8 kB\nx"}: 1 kB\nevil{: 2 kB\n',
                          "sys/kernel/hostname": 'a"\\\nb'})  # fmt: skip
    found = series(host)
    assert len([name for name, _ in found if name == "node_network_receive_bytes_total"]) == 64
    assert {name for name in names(found) if name.startswith("node_memory")} == {"node_memory_MemTotal_bytes"}
    assert next(dict(labels)["nodename"] for name, labels in found if name == "node_uname_info").startswith('a"\\')


def test_cpu_times_of_an_old_kernel_bad_lines_and_lines_without_a_unit() -> None:
    times = CpuTimes("7", (1, 2, 3, 4, 0, 0, 0, 0))
    assert parse_cpu_times(b"cpu 1 1 1 1\ncpu7 1 2 3 4\ncpu8 1 x\ncpux 1 2 3 4\n") == [times]
    pages = b"MemTotal: 1 kB\nHugePages_Free: 3\nHugePages_Rsvd: x\nOther: 3\n"
    assert parse_page_counts(pages) == {"HugePages_Free": 3}
    for parse, data in itertools.product((parse_cpu_times, parse_sysctl), (b"", b"\n")):
        with pytest.raises(ParseError):
            parse(data)


def test_before_6_1_the_machine_is_this_process_own_on_the_same_kernel_alone(fs: FakeFilesystem) -> None:
    files = {name: text for name, text in GOOD.items() if name.startswith("sys") and not name.endswith("arch")}
    for top, release in (("/same", os.uname().release), ("/other", "1.2.3")):
        for name, text in (files | {"sys/kernel/osrelease": release}).items():
            fs.create_file(f"{top}/proc/{name}", contents=text)
    assert read_uname(Root("/same")).machine == os.uname().machine
    with pytest.raises(FileNotFoundError):
        read_uname(Root("/other"))


@pytest.mark.host
def test_the_running_kernel_says_the_same_to_psutil_and_uname() -> None:
    import psutil

    def between(low: float, value: float, high: float, slack: float) -> None:
        assert low - slack <= value <= high + slack

    said: list[str] = []
    before = psutil.cpu_times(percpu=True), psutil.net_io_counters(pernic=True, nowrap=False)
    host = HostMetricsReader(Root("/"), said.append).read()
    after = psutil.cpu_times(percpu=True), psutil.net_io_counters(pernic=True, nowrap=False)
    found = series(host)
    assert said == []
    assert len(host.cpus) == len(before[0]) == os.cpu_count()
    for n, cpu in enumerate(host.cpus):
        for mode in ("user", "nice", "system", "irq", "softirq", "steal"):
            value = found["node_cpu_seconds_total", (("cpu", cpu.cpu), ("mode", mode))]
            between(getattr(before[0][n], mode), value, getattr(after[0][n], mode), 0.011)
    assert found["node_memory_MemTotal_bytes", ()] == psutil.virtual_memory().total
    assert found["node_memory_SwapTotal_bytes", ()] == psutil.swap_memory().total
    assert found["node_boot_time_seconds", ()] == psutil.boot_time()
    for nic, counters in before[1].items():
        if not nic.startswith("veth"):
            value = found["node_network_receive_bytes_total", (("device", nic),)]
            between(counters.bytes_recv, value, after[1][nic].bytes_recv, 0)
    assert host.uname == Uname(*os.uname(), _domain())
    assert all(abs(one - other) < 0.5 for one, other in zip(host.load or (), os.getloadavg(), strict=True))


def _domain() -> str:
    with open("/proc/sys/kernel/domainname", encoding="ascii") as file:
        return file.read().strip()
