#!/usr/bin/env bash
# lab.sh COMMAND: a Kubernetes of one node on this machine, made from Go modules and Debian packages.
#
#   up               start it, or what of it does not run; prints the KUBECONFIG to use. Where KUBECONFIG
#                    names another cluster already, that one is taken and nothing is started
#   control-plane    the same without a node: for trying API server and controllers of another version
#   down             stop it and remove everything but logs and images
#   status           what runs, and where
#   stop NAME        stop one program: etcd kube-apiserver kube-controller-manager kube-scheduler
#                    containerd kubelet kube-proxy
#   start NAME       start it again
#   freeze NAME      it keeps its connections and answers nothing
#   thaw NAME        it goes on
#   import FILE...   give images (docker or OCI archives) to the node, which keeps what it got before; - is stdin
#   ctr ARGS...      containerd's client, for example: ctr images ls
#   host             print the address under which the cluster reaches this machine
#   exec COMMAND...  run a command on the cluster's machine, in its network
#
# SLUICE_KUBERNETES=1.35.4       the version
# SLUICE_LAB_KUBERNETES=DIR      the folder of the run, else out/kubernetes of this clone
# SLUICE_LAB_IMPORT='kind load image-archive'
#                                how your own cluster is given an image archive (import); `true` where it has
#                                the images already
set -euo pipefail
for part in places machine need build control_plane node; do
  # shellcheck source=/dev/null
  . "$(dirname "${BASH_SOURCE[0]}")/$part.sh"
done

if own_cluster && [[ ${1:-} == up ]]; then
  kubectl get --raw /readyz > /dev/null || fail "KUBECONFIG=$KUBECONFIG is set, but that cluster does not answer"
  say "KUBECONFIG is set: $KUBECONFIG is used, nothing is started"
  echo "export KUBECONFIG=$KUBECONFIG"
  exit
elif own_cluster && [[ ${1:-} == import ]]; then
  [[ -n ${SLUICE_LAB_IMPORT:-} ]] || fail "set SLUICE_LAB_IMPORT to the command that loads an image archive, \
for example 'kind load image-archive' or 'k3d image import'"
  for file in "${@:2}"; do $SLUICE_LAB_IMPORT "$file"; done
  exit
elif own_cluster && [[ ${1:-} =~ ^(stop|start|freeze|thaw|ctr|exec|host)$ ]]; then
  say "KUBECONFIG=$KUBECONFIG is no cluster of the lab: '$1' is not for the lab to do there"
  exit 69
fi
export KUBECONFIG=$ADMIN

# The control plane is enough for `control-plane`; a node comes with `up`.
control_plane() {
  mkdir -p "$LOGS"
  need_machine
  need_programs
  kubernetes_binaries kube-apiserver kube-controller-manager kube-scheduler ${1:+"$@"}
  # One start of this folder at a time, and what is half started goes with it.
  exec {LOCK}> "$RUN/lock"
  flock --nonblock "$LOCK" || fail "$RUN is being started or stopped by another lab"
  if ! machine_pid > /dev/null; then
    down    # what a killed one has left
    trap 'exit 130' INT TERM HUP
    trap 'stop_if_not_started $?' EXIT
  fi
  machine_up
  control_plane_up
}

up() {
  coredns_binary
  control_plane kubelet kube-proxy
  node_up
  names_up
  volumes_up
}

started() {
  trap - INT TERM HUP EXIT
  say "Kubernetes $KUBERNETES runs; this machine reaches its pods and Services at $NETWORK.0.0/16"
  printf 'export KUBECONFIG=%q\n' "$ADMIN"
}

# A start that failed or was interrupted leaves nothing running, unless somebody wants to look. A cluster
# that ran before is left alone.
stop_if_not_started() {
  trap '' INT TERM HUP
  if [[ -n ${SLUICE_KEEP:-} ]]; then
    say 'not started; SLUICE_KEEP is set, so what runs is left alone'
  else
    say 'not started: stopping what runs'
    down
  fi
  exit "$1"
}

# With the machine everything on it is gone at once: there is nothing that a gentle end would save.
down() {
  machine_down
  rm -rf "$RUN"/{etcd,kubelet,kubelet-pki,keys,tokens.csv,volumes,pod-logs,cni,pause} "$RUN"/*.{pid,kubeconfig,yaml,toml}
  # Images are kept; what containerd knows of containers, is not.
  rm -rf "$RUN"/containerd/io.containerd.{grpc.v1.cri,runtime.v2.task}
}

# import_image FILE: unless the node has had this very file since it was made.
import_image() {
  [[ $1 != - ]] || { ctr images import -; return; }
  local file stamp; file=$(realpath "$1"); stamp=$RUN/imported/${file//\//_}
  [[ ! $stamp -nt $file ]] || { say "$1 is there already"; return; }
  ctr images import - < <(cat "$file")
  mkdir -p "$RUN/imported"
  touch "$stamp"
}

# The file that is locked during a start; what is started must not keep it open.
exec {LOCK}< /dev/null

need_up() {
  MACHINE=$(machine_pid) || fail "no cluster runs in $RUN: make lab-up"
  addresses "$(cat "$RUN/number")"
}

command=${1:-help}
shift || true
case $command in
  up) up; started ;;
  control-plane) control_plane; started ;;
  down) down; say "nothing of $RUN runs any more" ;;
  status)
    need_up
    for name in etcd kube-apiserver kube-controller-manager kube-scheduler containerd kubelet kube-proxy; do
      is_running "$name" && echo "$name runs, log $LOGS/$name.log" || echo "$name does not run"
    done
    printf 'export KUBECONFIG=%q\n' "$ADMIN" ;;
  stop) need_up; send KILL "$1" ;;
  start) need_up; "start_${1//-/_}" ;;
  freeze) need_up; send STOP "$1" ;;
  thaw) need_up; send CONT "$1" ;;
  import) need_up; for file in "${@:--}"; do import_image "$file"; done ;;
  ctr) need_up; ctr "$@" ;;
  host) need_up; echo "$HOST_IP" ;;
  exec) need_up; on_machine "$@" ;;
  *) sed -n '2,/^set /s/^# \{0,1\}//p' "$HERE/lab.sh"; [[ $command == help ]] ;;
esac
