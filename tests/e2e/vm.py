"""Boots the guest, streams what it prints, brings back its exit status and results, and leaves nothing running.

Everything goes in and out as a disk that is one tar: a shared directory of many small files is slow under emulation,
and needs a daemon.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from image import Image
from wheels import say

_LEGACY = "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 systemd.unified_cgroup_hierarchy=0"
MODES = {
    "v2": ("6.12", "systemd.unified_cgroup_hierarchy=1"),
    "v1": ("6.1", f"{_LEGACY} systemd.legacy_systemd_cgroup_controller=1"),
    "hybrid": ("6.1", f"{_LEGACY} systemd.legacy_systemd_cgroup_controller=0"),
    "nomemory": ("6.12", "systemd.unified_cgroup_hierarchy=1 cgroup_disable=memory"),
}
"""Kind of host -> (kernel series, its part of the kernel's command line)."""
_QUIET = "console=ttyS0 quiet panic=-1 net.ifnames=0 mitigations=off nokaslr audit=0 apparmor=0 systemd.show_status=no"
_RESULTS_BYTES = 1 << 30
_CPUS = 2
_MEMORY = "2G"
_SILENT_SECONDS = 180.0
"""Until the guest says its first word, 10 to 50 s on a busy machine. An emulated kernel that loses the interrupt of a
timer while it boots ("Possible timer handling issue on cpu=1") never does."""
_BOOTS = 3
TIMED_OUT = 124
NEVER_RAN = 125


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. ``status``: the guest's exit status, TIMED_OUT or NEVER_RAN."""

    status: int
    seconds: float


def usable_kvm() -> bool:
    """Whether /dev/kvm runs a stock kernel: a paravirtual stand-in (no hardware module behind it) does not."""
    hardware = any(os.path.isdir(f"/sys/module/{module}") for module in ("kvm_intel", "kvm_amd"))
    return hardware and os.access("/dev/kvm", os.R_OK | os.W_OK)


def acceleration() -> str:
    """kvm or tcg (emulation); CGSTATD_E2E_ACCEL overrules."""
    return os.environ.get("CGSTATD_E2E_ACCEL") or ("kvm" if usable_kvm() else "tcg")


def boot(image: Image, mode: str, payload: Path, results: Path, *, time_limit: float) -> Outcome:
    """Run the payload's ``main`` in a guest of one mode. ``results`` is replaced by what it left, and the logs."""
    accel = acceleration()
    series, append = MODES[mode]
    say(f"{mode}: booting Linux {series} with {'KVM' if accel == 'kvm' else 'software emulation (TCG)'}")
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vm-", dir=image.directory.parent) as name:
        work = Path(name)
        with (work / "results").open("wb") as disk:
            disk.truncate(_RESULTS_BYTES)
        command = _qemu(image, series, append, accel, payload, work, results)
        for _ in range(_BOOTS):
            timed_out = _stream(command, work, results / "output.log", started + time_limit)
            if (results / "output.log").stat().st_size or not timed_out:
                break
            say(f"{mode}: no word from the guest, whose console is:")
            _show_console(results / "console.log")
        _unpack(work / "results", results)
        try:
            status = int((work / "status").read_text())
        except (OSError, ValueError):
            status = TIMED_OUT if timed_out else NEVER_RAN
    outcome = Outcome(status, time.monotonic() - started)
    if status in (TIMED_OUT, NEVER_RAN):
        _show_console(results / "console.log")
    say(f"{mode}: {_in_words(status)} after {outcome.seconds:.0f} s")
    return outcome


def _in_words(status: int) -> str:
    known = {0: "passed", TIMED_OUT: "the time limit passed", NEVER_RAN: "the guest ended without a status"}
    return known.get(status, f"failed ({status})")


def _qemu(
    image: Image, series: str, append: str, accel: str, payload: Path, work: Path, results: Path
) -> list[str | Path]:
    cpu = (
        ["-accel", "kvm", "-cpu", "host"] if accel == "kvm" else ["-accel", "tcg,thread=multi", "-cpu", "max,la57=off"]
    )
    return [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-machine", "pc,hpet=off,usb=off", *cpu, "-smp", str(_CPUS), "-m", _MEMORY,
        "-kernel", image.kernel(series), "-initrd", image.initrd(series), "-append", f"{_QUIET} {append}",
        "-serial", f"file:{results}/console.log",
        "-drive", f"file={image.disk},if=virtio,format=raw,snapshot=on",
        "-drive", f"file={payload},if=virtio,format=raw,readonly=on",
        "-drive", f"file={work}/results,if=virtio,format=raw,cache=unsafe",
        "-device", "virtio-serial-pci",
        "-chardev", "stdio,id=output,signal=off", "-device", "virtserialport,chardev=output,name=e2e.output",
        "-chardev", f"file,id=status,path={work}/status", "-device", "virtserialport,chardev=status,name=e2e.status",
        "-device", "virtio-rng-pci",
        "-nic", "user,model=virtio-net-pci,restrict=on",
    ]  # fmt: skip


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _stream(command: list[str | Path], work: Path, log: Path, deadline: float) -> bool:
    """Run QEMU, copying the guest's output; whether the time limit passed, or that until its first word. The process is
    gone afterwards."""
    # Standard input must stay open: at its end QEMU closes the output port.
    vm = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(work)},
        preexec_fn=_die_with_parent,  # noqa: PLW1509  # the harness has one thread
    )
    assert vm.stdout is not None and vm.stdin is not None
    try:
        with selectors.DefaultSelector() as selector, log.open("wb") as file:
            selector.register(vm.stdout, selectors.EVENT_READ)
            silent = time.monotonic() + _SILENT_SECONDS
            while (left := (deadline if file.tell() else min(silent, deadline)) - time.monotonic()) > 0:
                if not selector.select(left):
                    continue
                chunk = os.read(vm.stdout.fileno(), 1 << 16)
                if not chunk:
                    vm.wait(max(1.0, deadline - time.monotonic()))
                    return False
                file.write(chunk)
                file.flush()
                sys.stdout.buffer.write(chunk)
                sys.stdout.flush()
        return True
    except subprocess.TimeoutExpired:
        return True
    finally:
        vm.kill()
        vm.wait()
        vm.stdin.close()
        vm.stdout.close()


def _unpack(disk: Path, results: Path) -> None:
    """What the guest left; a guest that never came to it left none."""
    subprocess.run(["tar", "-C", results, "--no-same-owner", "-xf", disk], stderr=subprocess.DEVNULL, check=False)


def _show_console(path: Path) -> None:
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    print("\n".join(f"console: {line}" for line in lines[-20:]), flush=True)
