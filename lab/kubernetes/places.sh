# Where everything is and what it is called; read by all other scripts of this folder.
# shellcheck shell=bash disable=SC2034

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)

# What is built or fetched once and outlives every run, shared by all clones of this repository.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/sluice
KUBERNETES=${SLUICE_KUBERNETES:-1.35.4}
BIN=$CACHE/kubernetes-$KUBERNETES
COREDNS=$CACHE/coredns

# What one run leaves on the disk: data, keys, logs. One cluster per folder.
RUN=${SLUICE_LAB_KUBERNETES:-$REPO/out/kubernetes}
LOGS=$RUN/logs
KEYS=$RUN/keys
ADMIN=$RUN/admin.kubeconfig

NODE=lab

# The addresses of cluster number $1, all in one /16 of its own.
addresses() {
  NUMBER=$1
  LINK=sluice$NUMBER             # the host's end of the cable
  CGROUP=sluice-$NUMBER
  NETWORK=10.$((210 + NUMBER))
  HOST_IP=$NETWORK.0.1           # this machine, as the cluster sees it
  NODE_IP=$NETWORK.0.2           # the cluster's one node, as this machine sees it
  PODS=$NETWORK.1.0/24
  SERVICES=$NETWORK.2.0/24
  API_SERVICE_IP=$NETWORK.2.1
  DNS_IP=$NETWORK.2.10
}

# A cluster that somebody has is used as it is.
own_cluster() { [[ -n ${KUBECONFIG:-} && $KUBECONFIG != "$ADMIN" && ! $KUBECONFIG -ef $ADMIN ]]; }

say() { echo "lab: $*" >&2; }
fail() { say "$*"; exit 1; }

# await WHAT SECONDS COMMAND...: says what it waits for, and for how long it did.
await() {
  local what=$1 limit=$2 began=$EPOCHREALTIME; shift 2
  until "$@" > /dev/null 2>&1; do
    if (( ${EPOCHREALTIME%.*} - ${began%.*} >= limit )); then
      fail "$what: not after $limit s; the logs are in $LOGS"
    fi
    sleep 0.1
  done
  say "$what: $(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", b - a }')"
}
