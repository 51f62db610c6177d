#!/bin/sh
# Makes a host of this machine's programs below $1, with memory for a disk and the units in $2, and becomes its systemd.
# Run in namespaces of its own: nothing of the machine is changed, and all of it goes when process 1 does.
# What else the host is to have at the same place, read-only, follows: directories.
set -eu
root=$1 units=$2
shift 2
mount --make-rprivate /
mount -t tmpfs -o mode=755 none "$root"
cd "$root"
mkdir -p upper work usr etc/ld.so.conf.d var/lib var/tmp tmp run proc sys dev
# Programs can be added to /usr, and the machine's own stays as it is.
mount -t overlay -o lowerdir=/usr,upperdir="$root/upper",workdir="$root/work" none usr
for link in bin sbin lib lib64; do cp -a "/$link" .; done
for file in passwd group nsswitch.conf ld.so.cache ssl; do [ ! -e "/etc/$file" ] || cp -a "/etc/$file" etc/; done
cp -r "$units" etc/units
echo 0123456789abcdef0123456789abcdef >etc/machine-id
mount -t proc none proc
mount -t sysfs -o ro none sys
mount -t tmpfs -o mode=755 none sys/fs/cgroup
mount -t cgroup2 none sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 none run
chmod 1777 tmp var/tmp
for directory in "$@"; do
    mkdir -p "./$directory"
    mount --bind "$directory" "./$directory"
    mount -o remount,ro,bind "./$directory"
done
# Everything that a distribution starts is left out: not the units of the machine, but these.
exec env -i container=heapsee PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_UNIT_PATH=/etc/units \
    SYSTEMD_LOG_TARGET=console chroot . /lib/systemd/systemd --system --unit=multi-user.target --show-status=no
