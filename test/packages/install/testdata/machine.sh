# PID 1 of a machine: lays out a disk over the lab's, then becomes systemd.
set -eu
mount -t tmpfs tmpfs /mnt
cd /mnt
mkdir upper work root
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root
cd root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mount --bind "/usr/lib/modules/$(uname -r)" "usr/lib/modules/$(uname -r)"
# None of this machine's own services.
mount -t tmpfs -o mode=755 tmpfs etc/systemd/system
for target in sysinit local-fs sockets timers multi-user; do
  [ ! -d lib/systemd/system/$target.target.wants ] || mount -t tmpfs tmpfs lib/systemd/system/$target.target.wants
done
mount -t tmpfs tmpfs lib/systemd/system-generators
# Of the packages, only those that ipvsd depends on or shares folders with: dpkg
# reads the lists of all of them each time, and runs their triggers.
mkdir run/dpkg run/dpkg/info run/dpkg/updates run/dpkg/triggers
awk 'BEGIN { RS = ""; ORS = "\n\n" } /^Package: (adduser|kmod|systemd)\n/' var/lib/dpkg/status >run/dpkg/status
for package in adduser kmod systemd; do cp var/lib/dpkg/info/$package.list run/dpkg/info/; done
mount --bind run/dpkg var/lib/dpkg
cat >run/machine.target <<'END'
[Unit]
Requires=basic.target
After=basic.target
Wants=systemd-journald.service
END
mkdir -p run/systemd/system
mv run/machine.target run/systemd/system/
# What is written shows there; the lab's own disk goes out of sight.
mount --bind ../upper mnt
rm -f usr/sbin/policy-rc.d # of a container, it would forbid to start and stop
pivot_root . tmp
umount -l /tmp
exec /lib/systemd/systemd --system --unit=machine.target --log-target=journal --show-status=no </dev/null >/run/systemd.log 2>&1
