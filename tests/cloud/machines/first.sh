#!/bin/sh
# The first process of a machine: makes its root of the host's programs and its own directory, runs what cloud-init would,
# and stays as its init. SIGTERM is the power button, SIGHUP a reboot.
#   first.sh DIRECTORY NAME
set -eu
machine=$1 name=$2
root=$machine/root

echo made # the machine's namespaces; whoever lays its cable waits for this
read -r grace

mount --make-rprivate /
hostname "$name"
mount --bind "$root" "$root"
for tree in usr etc; do
  mount -t overlay -o "lowerdir=/$tree,upperdir=$machine/changed/$tree,workdir=$machine/work/$tree" "$tree" "$root/$tree"
done
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
# What runs containers looks for control groups.
[ ! -d /sys/fs/cgroup ] || mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=755 dev "$root/dev"
for node in null zero full random urandom tty; do
  : >"$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/run/shared"
mount --bind "$machine/../../shared" "$root/run/shared"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"

cd "$root"
mkdir -p .host
pivot_root . .host
umount -l /.host
rmdir /.host
cd /
echo up # what is run on the machine from now on sees its own root

alone() {
  set -- /proc/[0-9]*
  [ $# -le 1 ]
}

down() {
  trap '' TERM HUP
  kill -TERM -1 2>/dev/null || :
  left=$grace # of tenths of a second
  while [ "$left" -gt 0 ] && ! alone; do
    sleep 0.1
    left=$((left - 1))
  done
  exit "$1"
}

login() {
  cat /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys 2>/dev/null | grep -q . && [ -x /usr/sbin/sshd ] || return 0
  mkdir -p /run/sshd
  [ -e /etc/ssh/machine_key ] || ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/machine_key
  /usr/sbin/sshd -f /dev/null -h /etc/ssh/machine_key -E /var/log/sshd.log -o UsePAM=no -o PidFile=none -o PermitRootLogin=prohibit-password
}

boot() {
  export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
  exec </dev/null >>/var/log/cloud-init-output.log 2>&1
  login
  for script in /var/lib/cloud/scripts/per-boot/*; do
    [ ! -x "$script" ] || "$script" || echo "cloud-init: $script ended with $?"
  done
  [ ! -e /var/lib/cloud/instance/boot-finished ] || return 0
  for script in /var/lib/cloud/instance/scripts/*; do
    [ ! -x "$script" ] || "$script" || echo "cloud-init: $script ended with $?"
  done
  : >/var/lib/cloud/instance/boot-finished
}

trap 'down 0' TERM
trap 'down 3' HUP
(
  trap - TERM HUP
  boot
) &
# wait also buries what others leave behind, and a signal ends it; one that comes just before it blocks is seen
# when the next sleep has ended.
while :; do
  sleep 5 &
  wait || :
done
