#!/bin/bash
# A real S3 server for tests and benchmarks: Ceph's gateway over one monitor and one in-memory OSD, all on loopback.
#   radosgw.sh start DIR PORT   prints shell assignments: the endpoint, the keys, and those of a user without rights
#   radosgw.sh stop DIR         ends exactly the processes that `start` put into DIR, then removes DIR
#   radosgw.sh admin DIR …      radosgw-admin of that gateway: quotas, users
# RADOSGW_MEMORY is the size of the store in bytes (6 GiB). No root needed; nothing is written outside DIR.
set -euo pipefail

readonly region=us-east-1
readonly owner_key=OWNERKEY000000000001 owner_secret=owner-secret-of-a-server-on-loopback-000
readonly stranger_key=STRANGERKEY000000001 stranger_secret=stranger-secret-of-a-server-on-loopback
readonly deadline_s=120

die() {
  echo "radosgw.sh: $*" >&2
  exit 1
}

usage() {
  sed -n '2,6s/^# //p' "$0" >&2
  exit 2
}

# A process is known by its id and its start time, so that a reused id is never signalled.
start_time() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  stat=${stat##*) }
  [[ $stat != Z* ]] || return 1 # ended, only not yet waited for
  set -- $stat
  echo "${20}"
}

is_ours() { # FILE: is the process that FILE names still that one?
  local pid started
  read -r pid started <"$1" || return 1
  [[ $(start_time "$pid") == "$started" ]]
}

launch() { # NAME COMMAND…
  local name=$1
  shift
  setsid "$@" >"$dir/log/$name.out" 2>&1 3>&- </dev/null &
  disown $!
  echo "$! $(start_time $!)" >"$dir/pid/$name"
}

give_up() {
  echo "radosgw.sh: $1; the ends of the logs in $dir/log:" >&2
  tail -n 8 "$dir"/log/*.out "$dir"/log/*.log | cut -c 1-300 >&2 || true
  end_all
  exit 1
}

# Waits until COMMAND succeeds; an ended daemon or the deadline ends the wait loudly.
await() { # NAME-OF-DAEMON COMMAND…
  local name=$1
  shift
  until "$@" >/dev/null 2>&1; do
    is_ours "$dir/pid/$name" || give_up "$name ended while it started"
    ((SECONDS < deadline_s)) || give_up "$name is not ready after $deadline_s s"
    sleep 0.1
  done
}

must() { # NAME-OF-LOG COMMAND…
  local name=$1
  shift
  "$@" >"$dir/log/$name.out" 2>&1 </dev/null || give_up "'$1' of step $name failed"
}

end_all() {
  local name pid
  for name in gateway osd mon; do
    [[ -f $dir/pid/$name ]] || continue
    # In-memory data need no orderly end, and ceph-osd takes seconds for one.
    if is_ours "$dir/pid/$name"; then
      read -r pid _ <"$dir/pid/$name"
      kill -KILL "$pid" 2>/dev/null || true
      while is_ours "$dir/pid/$name"; do sleep 0.02; done
    fi
    rm -f "$dir/pid/$name"
  done
}

free_port() {
  /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

write_config() { # FSID MON-PORT S3-PORT
  cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $1
mon host = [v2:127.0.0.1:$2]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
# Everything is on loopback and lives for one test run: no keys between the daemons.
auth cluster required = none
auth service required = none
auth client required = none
ms mon cluster mode = crc
ms mon service mode = crc
ms mon client mode = crc
run dir = $dir/pid
admin socket = $dir/pid/\$name.asok
log file = $dir/log/\$name.log
crash dir = $dir/crash
# One OSD: one copy, and few placement groups, because each costs start-up time.
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
mon max pg per osd = 1000
mon allow pool size one = true
mon data avail crit = 1
# Each pool is several decisions of the monitor, and it is alone: no need to wait a second for company.
paxos propose interval = 0.05
paxos min wait = 0.01
[mon.a]
mon data = $dir/mon
[osd.0]
osd data = $dir/osd
osd objectstore = memstore
memstore device bytes = ${RADOSGW_MEMORY:-6442450944}
osd class update on start = false
osd enable op tracker = false
[client.rgw.a]
rgw data = $dir/gateway
rgw frontends = beast endpoint=127.0.0.1:$3
rgw dns name = localhost
rgw thread pool size = 64
rgw enable usage log = false
rgw enable ops log = false
rgw gc obj min wait = 1
CONF
}

make_user() { # UID KEY SECRET MAX-BUCKETS (0 is no limit, negative is none at all)
  must "user-$1" radosgw-admin -c "$dir/ceph.conf" -n client.rgw.a user create --uid="$1" --display-name="$1" \
    --access-key="$2" --secret-key="$3" --max-buckets="$4"
}

start() {
  local port=$1 tool pool n fsid osd_id mon_port
  for tool in ceph-mon ceph-osd radosgw radosgw-admin ceph monmaptool uuidgen curl; do
    PATH=$PATH:/usr/sbin:/sbin command -v $tool >/dev/null || die "$tool is missing: run scripts/install_packages.sh s3"
  done
  [[ ! -e $dir || -z $(ls -A "$dir") ]] || die "$dir is not empty: give a new directory, or stop the server that is in it"
  mkdir -p "$dir"/{mon,osd,gateway,pid,log,crash}
  exec 3>&1 1>&2
  trap 'give_up "interrupted"' INT TERM
  fsid=$(uuidgen) osd_id=$(uuidgen) mon_port=$(free_port)
  write_config "$fsid" "$mon_port" "$port"
  export CEPH_CONF=$dir/ceph.conf

  must monmap monmaptool --create --clobber --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon_port]" "$dir/monmap"
  must mon-mkfs ceph-mon --mkfs -i a --monmap "$dir/monmap"
  launch mon ceph-mon -i a -f
  await mon timeout 5 ceph mon stat
  must osd-new ceph osd new "$osd_id" 0
  must osd-mkfs ceph-osd -i 0 --mkfs --osd-uuid "$osd_id"
  launch osd ceph-osd -i 0 -f
  await osd sh -c 'timeout 5 ceph osd stat | grep -q "1 up"'
  # All before the gateway, so that nobody's first request is the one that makes pools.
  for pool in log buckets.index buckets.data buckets.non-ec; do
    must "pool-$pool" ceph osd pool create default.rgw.$pool 8 8
    must "pool-$pool" ceph osd pool application enable default.rgw.$pool rgw
  done
  # The in-memory store counts its bytes without a lock. Ballast keeps the sum from passing below zero after many
  # deletions, which it would take for "full" and stop.
  head -c 67108864 /dev/zero >"$dir/ballast"
  for n in 1 2; do
    must ballast rados -p default.rgw.log --namespace=ballast put "ballast-$n" "$dir/ballast"
  done
  rm "$dir/ballast"
  make_user owner $owner_key $owner_secret 0
  make_user stranger $stranger_key $stranger_secret -1
  launch gateway radosgw -n client.rgw.a -f
  await gateway curl -sf -o /dev/null "http://127.0.0.1:$port/"
  is_ours "$dir/pid/gateway" || give_up "another program answers on port $port"
  trap - INT TERM

  cat >&3 <<ENV
AWS_ENDPOINT_URL_S3=http://127.0.0.1:$port
AWS_ACCESS_KEY_ID=$owner_key
AWS_SECRET_ACCESS_KEY=$owner_secret
AWS_REGION=$region
STRANGER_ACCESS_KEY_ID=$stranger_key
STRANGER_SECRET_ACCESS_KEY=$stranger_secret
ENV
}

stop() {
  [[ -d $dir ]] || exit 0
  [[ -d $dir/pid && -f $dir/ceph.conf ]] || die "$dir was not made by 'radosgw.sh start'"
  end_all
  rm -rf "$dir"
}

(($# >= 2)) || usage
verb=$1
dir=$(realpath -m "$2")
export PATH=$PATH:/usr/sbin:/sbin
case $verb in
  start) (($# == 3)) || usage; start "$3" ;;
  stop) stop ;;
  admin) exec radosgw-admin -c "$dir/ceph.conf" -n client.rgw.a "${@:3}" ;;
  *) usage ;;
esac
