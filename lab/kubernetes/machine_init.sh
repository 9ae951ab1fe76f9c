#!/usr/bin/env bash
# The first process of the cluster's machine (see machine.sh). It prepares the mounts, then reaps
# whatever is left to it, as an init does. $1 is the folder of the run.
set -euo pipefail

# Own places for what the programs of a node keep outside their own folders.
mount -t tmpfs -o mode=755 sluice-run /run
mount -t tmpfs -o mode=755 sluice-log /var/log
# Volumes that the kubelet mounts must be seen by containerd.
mount --make-rshared /

# The kubelet insists on these values and would set them for the whole host; here it finds them set.
pretend() {
  [[ -f $2 ]] || return 0
  echo "$1" > "/run/pretend-${2//\//-}"
  mount --bind "/run/pretend-${2//\//-}" "$2"
}
pretend 1 /proc/sys/vm/overcommit_memory
pretend 0 /proc/sys/vm/panic_on_oom
pretend 10 /proc/sys/kernel/panic
pretend 1 /proc/sys/kernel/panic_on_oops
pretend 1000000 /proc/sys/kernel/keys/root_maxkeys
pretend 25000000 /proc/sys/kernel/keys/root_maxbytes

ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
touch "$1/started"

# bash reaps orphans whenever one of its own children ends.
while :; do sleep 5 & wait "$!"; done
