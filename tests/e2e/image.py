"""Builds the guest: a Debian 13 root disk, and two kernels each with an initrd of ours.

Debian 13's kernel has the v1 memory controller compiled out, so legacy and hybrid hosts boot Debian 12's 6.1 kernel;
the rest of the guest is the same. Everything comes from the machine's own apt sources, read when the image is built.

The cache holds one image per state of this file and of ``image/``; older ones are deleted.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wheels import HERE, CannotBuild, cache_directory, dependencies, say, wanted

PARTS = HERE / "image"
SUITES = {"6.12": "trixie", "6.1": "bookworm"}
"""Kernel series -> the Debian release that has it."""
KERNEL = "linux-image-cloud-amd64"
DISK_SIZE = "8G"
"""Sparse: about 1 GB is used."""
_TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "cpio": "cpio",
    "depmod": "kmod",
    "xz": "xz-utils",
    "dpkg-buildpackage": "build-essential",
    "dh": "debhelper python3-venv",
    "openssl": "openssl",
}
"""Of the Debian package's, too: apt installs once, before both are built side by side."""
_NETWORK = re.compile(r'Acquire::(?:http|https|ftp|ForceIPv[46]|Retries|Check-Valid-Until|Check-Date)\b[^"]* ".+";')
"""The lines of `apt-config dump` about the way to the archives."""
_INITRD_MODULES = ("virtio_pci", "virtio_blk", "ext4")


@dataclass(frozen=True, slots=True)
class Image:
    """A built guest."""

    directory: Path

    @property
    def disk(self) -> Path:
        """The root disk; boots use a throw-away overlay of it."""
        return self.directory / "root.ext4"

    def kernel(self, series: str) -> Path:
        """The kernel of a series."""
        return self.directory / series / "vmlinuz"

    def initrd(self, series: str) -> Path:
        """Its initrd."""
        return self.directory / series / "initrd"


def install_tools() -> None:
    """Install what this machine lacks, where it is ours to install on. Raises CannotBuild."""
    lacking = [packages for tool, packages in _TOOLS.items() if not shutil.which(tool, path=_path())]
    missing = sorted({package for packages in lacking for package in packages.split()})
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise CannotBuild(f"missing: apt install {' '.join(missing)}")
    say(f"installing {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing]
    if _quiet(install, environment).returncode:
        _quiet(["apt-get", "update", "-qq"], environment)
        found = _quiet(install, environment)
        if found.returncode:
            raise CannotBuild(f"apt-get install failed: {found.stdout[-2000:]}")


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _quiet(command: Sequence[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def _run(*command: str | Path, cwd: Path | None = None, variables: Mapping[str, str] | None = None) -> str:
    """Standard output of a command that must succeed. Raises CannotBuild."""
    environment = {**os.environ, "PATH": _path(), "LC_ALL": "C.UTF-8", **(variables or {})}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotBuild(f"{command[0]} failed ({done.returncode}):\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def _key() -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes() + "\n".join(wanted()).encode())
    for path in sorted(PARTS.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(PARTS)} {path.stat().st_mode:o}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def image(*, rebuild: bool = False) -> Image:
    """The image of this state of the harness, built if it is not in the cache. Raises CannotBuild."""
    cache = cache_directory()
    directory = cache / f"image-{_key()}"
    if (directory / "complete").exists() and not rebuild:
        return Image(directory)
    if os.geteuid() != 0:
        raise CannotBuild("building the guest's image needs root (chroot, device nodes); running it does not")
    started = time.monotonic()
    say(f"building the guest's image in {directory}")
    cache.mkdir(parents=True, exist_ok=True)
    for old in cache.glob("image-*"):
        shutil.rmtree(old)
    directory.mkdir()
    with tempfile.TemporaryDirectory(prefix="build-", dir=cache) as work:
        _build(Image(directory), Path(work))
    (directory / "complete").touch()
    say(f"image built in {time.monotonic() - started:.0f} s")
    return Image(directory)


def _build(built: Image, work: Path) -> None:
    root = work / "root"
    _bootstrap(root, _sources(work, SUITES["6.12"]), work)
    for series, suite in SUITES.items():
        _kernel(built, series, _download_kernel(work, suite, series), root)
    _customize(root)
    _install_dependencies(root)
    for series in SUITES:
        _initrd(built.initrd(series), work, root, series)
    _run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", "-d", root,
         built.disk, DISK_SIZE)  # fmt: skip


def _sources(work: Path, suite: str) -> Path:
    """A directory with this machine's Debian sources, each made to mean ``suite``."""
    found = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    names = re.compile("|".join(SUITES.values()))
    directory = work / f"sources-{suite}"
    directory.mkdir(exist_ok=True)
    for path in found:
        text = path.read_text() if path.is_file() and path.suffix in (".list", ".sources") else ""
        if names.search(text):
            (directory / path.name).write_text(names.sub(suite, text))
    if not any(directory.iterdir()):
        raise CannotBuild("no apt source here names Debian 12 or 13: the guest is made from this machine's sources")
    return directory


def _network(work: Path) -> Path:
    """How this machine reaches its archives (proxies, timeouts, retries, checks): all that is taken over of its apt.

    The rest belongs to its packages: a hook such as appstream's APT::Update::Post-Invoke-Success runs a program that
    the guest does not have.
    """
    path = work / "network.conf"
    path.write_text("".join(f"{line}\n" for line in _run("apt-config", "dump").splitlines() if _NETWORK.match(line)))
    return path


def apt_run(work: Path, *command: str | Path, cwd: Path | None = None) -> str:
    """A command of apt's with a configuration of our own instead of this machine's. Raises CannotBuild."""
    path = work / "apt.conf"  # read first: it says where the rest is
    nowhere = 'Dir::Etc::main "/dev/null";\nDir::Etc::parts "/dev/null";\n'
    path.write_text(nowhere + _network(work).read_text())
    return _run(*command, cwd=cwd, variables={"APT_CONFIG": str(path)})


def _packages() -> str:
    lines = (line.partition("#")[0].strip() for line in (PARTS / "packages.txt").read_text().splitlines())
    return ",".join(filter(None, lines))


def _bootstrap(root: Path, sources: Path, work: Path) -> None:
    options = [f"--aptopt={_network(work)}"]
    options += [f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in ("man", "doc", "locale", "info")]
    _run("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", f"--include={_packages()}",
         '--aptopt=APT::Install-Recommends "false"', *options, SUITES["6.12"], root,
         *sorted(sources.iterdir()))  # fmt: skip
    for leftover in [*(root / "etc/apt/apt.conf.d").glob("99mmdebstrap*"), *(root / "etc/apt").glob("sources.list*")]:
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def _download_kernel(work: Path, suite: str, series: str) -> Path:
    """The newest cloud kernel of a suite, unpacked but not installed: its hooks would make an initrd of their own."""
    state = work / f"apt-{suite}"
    unpacked = state / "unpacked"
    (state / "lists/partial").mkdir(parents=True)
    options = [
        f"-oDir::Etc::sourceparts={_sources(work, suite)}",
        "-oDir::Etc::sourcelist=/dev/null",
        f"-oDir::Etc::preferencesparts={state}",
        f"-oDir::State::lists={state}/lists",
        "-oDir::Cache::pkgcache=",
        "-oDir::Cache::srcpkgcache=",
        "-oAPT::Sandbox::User=root",
    ]
    apt_run(work, "apt-get", *options, "update", "-qq")
    shown = apt_run(work, "apt-cache", *options, "show", KERNEL)
    names = re.findall(rf"^Depends:.*?\b(linux-image-{re.escape(series)}\.[^ ,]+)", shown, re.MULTILINE)
    if not names:
        raise CannotBuild(f"{KERNEL} of {suite} is not a {series} kernel:\n{shown}")
    newest = max(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])
    apt_run(work, "apt-get", *options, "download", "-qq", newest, cwd=state)
    _run("dpkg-deb", "-x", next(state.glob("*.deb")), unpacked)
    return unpacked


def _kernel(built: Image, series: str, unpacked: Path, root: Path) -> None:
    """vmlinuz beside the disk, the modules into it."""
    built.kernel(series).parent.mkdir()
    vmlinuz = next((unpacked / "boot").glob("vmlinuz-*"))
    shutil.copy(vmlinuz, built.kernel(series))
    modules = next(path for path in (unpacked / "usr/lib/modules", unpacked / "lib/modules") if path.is_dir())
    version = vmlinuz.name.removeprefix("vmlinuz-")
    shutil.copytree(modules / version, root / "usr/lib/modules" / version, symlinks=True)
    _run("depmod", "-b", root, version)


def _customize(root: Path) -> None:
    _run("cp", "-r", f"{PARTS}/overlay/.", root)
    shutil.copy(PARTS / "customize.sh", root / "customize.sh")
    _run("chroot", root, "/bin/sh", "/customize.sh")
    (root / "customize.sh").unlink()
    (root / "etc/hostname").write_text("e2e\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost e2e\n")
    (root / "etc/fstab").write_text("/dev/vda / ext4 rw,noatime 0 0\n")
    (root / "etc/machine-id").write_text("")


def _install_dependencies(root: Path) -> None:
    """The virtual environment that the agent gets, with all but the agent: compiled here, natively."""
    wheels = root / "tmp/wheels"
    shutil.copytree(dependencies(), wheels)
    environment = "/opt/cgstatd"
    _run("chroot", root, "python3", "-m", "venv", "--without-pip", environment)
    _run("chroot", root, "python3", "-m", "pip", "--quiet", "--python", f"{environment}/bin/python", "install",
         "--no-index", "--no-cache-dir", "--root-user-action=ignore", "--find-links", "/tmp/wheels",
         *wanted())  # fmt: skip
    shutil.rmtree(wheels)


def _initrd(target: Path, work: Path, root: Path, series: str) -> None:
    """busybox, the disk's modules in the order they are loaded, and image/initrd-init."""
    tree = work / f"initrd-{series}"
    for name in ("bin", "proc", "dev", "root", "modules"):
        (tree / name).mkdir(parents=True)
    shutil.copy(root / "bin/busybox", tree / "bin/busybox")
    shutil.copy(PARTS / "initrd-init", tree / "init")
    version = next(path.name for path in (root / "usr/lib/modules").iterdir() if path.name.startswith(f"{series}."))
    order: list[str] = []
    for module in _INITRD_MODULES:
        shown = _run("modprobe", "-d", root, "-S", version, "--show-depends", module)
        for path in re.findall(r"^insmod (\S+)", shown, re.MULTILINE):
            name = Path(path).name
            if name.removesuffix(".xz") in order:
                continue
            order.append(name.removesuffix(".xz"))
            shutil.copy(path, tree / "modules" / name)
            if name.endswith(".xz"):
                _run("xz", "-d", tree / "modules" / name)
    (tree / "modules/order").write_text("\n".join(order) + "\n")
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    with target.open("wb") as file:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=tree, input=names.encode(), stdout=file, check=True)


if __name__ == "__main__":
    try:
        install_tools()
        image(rebuild="--rebuild" in sys.argv[1:])
    except CannotBuild as error:
        sys.exit(f"e2e: {error}")
