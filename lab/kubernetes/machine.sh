# The cluster's machine: one process (machine_init.sh) with processes, mounts and network of its own.
#
# Whatever runs in the cluster is a descendant of that process and sees its mounts and its network
# only. So ending it ends everything, and nothing stays: no process, no mount, no interface. Only the
# cgroups are the host's; they are removed by hand.
# shellcheck shell=bash disable=SC2154

# The pid of the machine on the host, if it runs: the start time tells it from a stranger.
machine_pid() {
  local pid started
  { read -r pid started < "$RUN/machine.pid"; } 2> /dev/null || return 1
  # One that is just ending has no namespaces any more.
  [[ $(start_time "$pid") == "$started" && -e /proc/$pid/ns/net ]] && echo "$pid"
}

# Field 22 of /proc/PID/stat; the name in field 2 may hold spaces.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2> /dev/null | cut -d' ' -f20; }

# Runs a command on the machine.
on_machine() { nsenter --target "$MACHINE" --pid --mount --net -- "$@"; }

machine_up() {
  if MACHINE=$(machine_pid); then
    addresses "$(cat "$RUN/number")"
    return
  fi
  mkdir -p "$RUN" "$LOGS" "$KEYS"
  choose_number
  setsid unshare --net --mount --propagation private --pid --fork --mount-proc --kill-child \
    "$BASH" "$HERE/machine_init.sh" "$RUN" > "$LOGS/machine.log" 2>&1 < /dev/null {LOCK}>&- &
  local unshare=$!
  disown
  await 'the machine of the cluster' 10 test -e "$RUN/started" -o ! -e "/proc/$unshare"
  rm -f "$RUN/started"
  MACHINE=$(tr -d ' ' < "/proc/$unshare/task/$unshare/children") || fail "no namespaces: $(cat "$LOGS/machine.log")"
  echo "$MACHINE $(start_time "$MACHINE")" > "$RUN/machine.pid"

  ip link set "$LINK-node" netns "$MACHINE" name eth0
  ip addr add "$HOST_IP/24" dev "$LINK"
  ip link set "$LINK" up
  on_machine ip addr add "$NODE_IP/24" dev eth0
  on_machine ip link set eth0 up
  ip route add "$NETWORK.0.0/16" via "$NODE_IP"
  # There is no way out, so programs of the node need one to Services; kube-proxy then sends them on.
  on_machine ip route add "$SERVICES" dev lo src "$NODE_IP"
  make_cgroup
}

# Takes the first number that nobody has: creating the interface is what reserves it.
choose_number() {
  local number
  for number in ${SLUICE_LAB_NUMBER:-0 1 2 3 4 5 6 7 8 9}; do
    addresses "$number"
    [[ -z $(ip -4 route show root "$NETWORK.0.0/16") ]] || continue
    if ip link add "$LINK" type veth peer name "$LINK-node" 2> /dev/null; then
      # `ip link` then tells which clone's cluster an interface belongs to.
      ip link set "$LINK" alias "$RUN"
      echo "$number" > "$RUN/number"
      return
    fi
  done
  fail "all networks for a cluster (10.210 to 10.219) are taken, see 'ip -d link' and 'ip route':
$(ip link show type veth | sed -n 's/^ *alias /  by the cluster in /p')"
}

# The hierarchies of cgroups: one with cgroup v2, some ten with v1.
cgroups() { awk '$3 ~ /^cgroup2?$/ {print $2}' /proc/mounts; }

make_cgroup() {
  local at file
  while read -r at; do
    mkdir -p "$at/$CGROUP"
    # In cpuset of v1 a new group is empty and takes no process.
    for file in cpuset.cpus cpuset.mems; do
      [[ -f $at/$CGROUP/$file && -z $(cat "$at/$CGROUP/$file") ]] && cat "$at/$file" > "$at/$CGROUP/$file"
    done
  done < <(cgroups)
  return 0
}

machine_down() {
  if MACHINE=$(machine_pid); then
    kill -KILL "$MACHINE"
    while kill -0 "$MACHINE" 2> /dev/null; do sleep 0.05; done
  fi
  rm -f "$RUN/machine.pid"
  [[ -f $RUN/number ]] || return 0
  addresses "$(cat "$RUN/number")"
  # The interface goes with the machine, a little later; a half-started one is still here.
  if ip link show "$LINK" 2> /dev/null | grep -qxF "    alias $RUN"; then
    ip link del "$LINK" 2> /dev/null || true
  fi
  while read -r at; do
    # After a restart of this machine there is none.
    [[ -d $at/$CGROUP ]] || continue
    # Deepest first; a group whose last process is just going takes a moment.
    find "$at/$CGROUP" -depth -type d 2> /dev/null | while read -r group; do
      for _ in {1..40}; do rmdir "$group" 2> /dev/null && break; sleep 0.05; done
    done
  done < <(cgroups)
  rm -f "$RUN/number"
}

# start NAME COMMAND...: starts a program on the machine unless it runs. Its output is in $LOGS/NAME.log.
start() {
  local name=$1; shift
  is_running "$name" && return
  # shellcheck disable=SC2016
  on_machine setsid --fork sh -c 'echo $$ > "$0.pid"; log=$1; shift; exec "$@" >> "$log" 2>&1 < /dev/null' \
    "$RUN/$name" "$LOGS/$name.log" "$@" {LOCK}>&-
}

# One that has ended and is not reaped yet has no program any more.
is_running() { on_machine sh -c 'read -r pid < "$0" && readlink "/proc/$pid/exe"' "$RUN/$1.pid" > /dev/null 2>&1; }

# send SIGNAL NAME: to a program on the machine.
send() { on_machine sh -c 'read -r pid < "$1" && kill -s "$0" "$pid"' "$1" "$RUN/$2.pid"; }
