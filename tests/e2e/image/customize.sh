#!/bin/sh
# Runs in the new root (chroot), after the packages and the overlay: makes boots quick and quiet, and the users.
set -eu
useradd -m -s /bin/bash -u 1000 rooty  # owns the rootless containers
mkdir -p /var/lib/systemd/linger
touch /var/lib/systemd/linger/rooty
passwd -q -d root

# Every engine is started by the test that wants it; timers and consoles only cost time under emulation.
systemctl disable -q docker.service docker.socket containerd podman.service podman.socket podman-restart \
    podman-auto-update.timer lxc lxc-net lxc-monitord nftables apt-daily.timer apt-daily-upgrade.timer \
    dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap fstrim.timer systemd-pstore getty@tty1 \
    systemd-networkd systemd-timesyncd apparmor 2>/dev/null || true
systemctl mask -q systemd-firstboot console-getty serial-getty@ttyS0 systemd-binfmt systemd-hwdb-update \
    systemd-journal-catalog-update systemd-update-done ldconfig systemd-random-seed systemd-machine-id-commit \
    getty.target 2>/dev/null || true
systemctl set-default -q multi-user.target
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -s ../e2e.service /etc/systemd/system/multi-user.target.wants/e2e.service
chmod 755 /usr/local/sbin/e2e-run

# The root file system of every container: busybox and its links. No registry is asked.
root=$(mktemp -d)
for each in bin etc proc sys dev tmp root var run usr data; do mkdir "$root/$each"; done
mkdir -p "$root/usr/lib"
cp /bin/busybox "$root/bin/"
for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
echo 'ID=busybox' >"$root/usr/lib/os-release"
tar -C "$root" -cf /opt/busybox.tar .
rm -rf "$root"
