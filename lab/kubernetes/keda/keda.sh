#!/usr/bin/env bash
# keda.sh COMMAND: KEDA on the lab's cluster, by KEDA's own manifests without the webhooks.
#
#   up               build it the first time, install it, and wait until it serves external.metrics.k8s.io
#   down             remove it, and every ScaledObject with it
#
# Only one program of a cluster can serve external.metrics.k8s.io, so whatever did before does so no longer.
# Where KUBECONFIG names another cluster, its KEDA is left as it is.
set -euo pipefail
for part in places build; do
  # shellcheck source=/dev/null
  . "$(dirname "${BASH_SOURCE[0]}")/../$part.sh"
done
MODULE=github.com/kedacore/keda/v2
VERSION=$(version_in keda $MODULE)
KEDA=$CACHE/keda-$VERSION
if own_cluster; then
  say "KUBECONFIG is set: KEDA is neither installed nor removed in that cluster"
  exit
fi
export KUBECONFIG=$ADMIN

# Its go.mod replaces modules, which only counts in the main module: it is built in its own source.
binaries() {
  [[ -x $KEDA/operator && -x $KEDA/adapter && -d $KEDA/config ]] && return
  local source
  source=$(source_of keda $MODULE)
  build "$source" "$KEDA" '' ./cmd/operator ./cmd/adapter
  cp -R --no-preserve=mode "$source/config" "$KEDA/"
}

# image NAME BINARY PATH: under the name and at the path that KEDA's manifests have.
image() {
  local root name=ghcr.io/kedacore/$1:$VERSION
  [[ -n $("$HERE/lab.sh" ctr images ls -q "name==$name") ]] && return
  root=$(mktemp -d)
  chmod 755 "$root"
  install -D -m 755 "$KEDA/$2" "$root/$3"
  python3 "$HERE/one_layer_image.py" "$name" "$root" "$3" | "$HERE/lab.sh" import - > /dev/null
  rm -rf "$root"
}

manifests() {
  cp "$HERE/keda/kustomization.yaml" "$KEDA/"
  kubectl kustomize "$KEDA" | sed "s|@VERSION@|$VERSION|"
}

up() {
  binaries
  image keda operator /keda
  image keda-metrics-apiserver adapter /keda-adapter
  # What another one has set in it would be in the way.
  kubectl delete apiservice v1beta1.external.metrics.k8s.io --ignore-not-found > /dev/null
  # By the server, because one of the CustomResourceDefinitions is too large for kubectl's annotation.
  manifests | kubectl apply --server-side --force-conflicts -f - > /dev/null
  await 'KEDA (its operator makes the certificates first)' 240 \
    kubectl -n keda rollout status deployment/keda-operator deployment/keda-metrics-apiserver --timeout=1s
  await 'external metrics by KEDA' 60 kubectl get --raw /apis/external.metrics.k8s.io/v1beta1
}

# Its operator lets a ScaledObject go, so it goes last.
down() {
  kubectl get crd scaledobjects.keda.sh > /dev/null 2>&1 || return 0
  kubectl delete scaledobjects,scaledjobs --all --all-namespaces --timeout=60s > /dev/null
  manifests | kubectl delete --ignore-not-found -f - > /dev/null
}

case ${1:-help} in
  up) up ;;
  down) down ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$HERE/keda/keda.sh"; [[ ${1:-help} == help ]] ;;
esac
