#!/bin/sh
# Stands in for the NFS client: what mount(8) calls for `mount -t nfs4 ADDRESS:/ DIRECTORY -o OPTIONS`. A shared directory takes
# the place of the server; how it was called is noted, for the tests.
echo "$*" >>/var/log/mount.nfs4.log
directory=/run/shared/${1%%:*}
[ -d "$directory" ] || { echo "mount.nfs4: Connection timed out" >&2; exit 32; }
exec mount --bind "$directory" "$2"
