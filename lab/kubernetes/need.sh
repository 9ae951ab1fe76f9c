# What this machine must offer, and what is installed on it.
# shellcheck shell=bash disable=SC2154

PACKAGES=(etcd-server containerd runc containernetworking-plugins nftables conntrack busybox-static kubernetes-client openssl iproute2 python3)
PROGRAMS=(etcd containerd runc nft conntrack busybox kubectl openssl ip python3)

# Ends with a message where the machine cannot run a cluster; the message says what runs all the same.
need_machine() {
  local lacks=()
  [[ $(uname -s)-$(uname -m) == Linux-x86_64 ]] || lacks+=('it is not Linux on x86-64')
  if [[ $EUID != 0 ]]; then
    lacks+=('you are not root')
  elif ! unshare --net --mount --pid --fork --mount-proc true 2> /dev/null; then
    lacks+=('it does not let root make namespaces (a container without --privileged?)')
  elif [[ -z $(cgroups) ]] || ! mkdir -p "$(cgroups | head -n 1)/sluice-probe" 2> /dev/null; then
    lacks+=('its cgroups cannot be written')
  else
    rmdir "$(cgroups | head -n 1)/sluice-probe"
  fi
  command -v go > /dev/null || [[ -x $BIN/kube-proxy && -x $COREDNS/coredns ]] || lacks+=('Go 1.25 or newer is missing (https://go.dev/dl)')
  (( ${#lacks[@]} == 0 )) && return
  say "no Kubernetes can be started on this machine:"
  printf '  - %s\n' "${lacks[@]}" >&2
  cat >&2 <<'T'
You can
  - use a cluster that you have: KUBECONFIG=FILE make test-kubernetes (lab/kubernetes/README.md)
  - run everything that needs no Kubernetes: make demo, make test-unit, make test-lab
T
  exit 69
}

need_programs() {
  local missing=() program lock
  for program in "${PROGRAMS[@]}"; do command -v "$program" > /dev/null || missing+=("$program"); done
  [[ -x /usr/lib/cni/bridge ]] || missing+=(/usr/lib/cni/bridge)
  (( ${#missing[@]} == 0 )) && return
  command -v apt-get > /dev/null || fail "missing: ${missing[*]}. Debian and Ubuntu have them in: ${PACKAGES[*]}"
  say "installing from Debian, for want of ${missing[*]}: ${PACKAGES[*]}"
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends \
    "${PACKAGES[@]}" > "$LOGS/apt.log" 2>&1 || fail "apt-get failed: $(tail -n 5 "$LOGS/apt.log")"
}
