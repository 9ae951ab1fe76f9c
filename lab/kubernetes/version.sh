#!/usr/bin/env bash
# version.sh X.Y.Z: makes kubernetes-X.Y/go.mod, so that `SLUICE_KUBERNETES=X.Y.Z lab.sh up` can build that version.
#
# Kubernetes' own go.mod takes its libraries from a folder beside it, which only its repository has: here each
# is replaced by the module of the same release.
set -euo pipefail
version=$1
major_minor=${version%.*}
folder=$(dirname "$0")/kubernetes-$major_minor
mkdir -p "$folder"
cd "$folder"
source=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
{
  echo 'module sluice.lab/kubernetes'
  grep '^go \|^godebug ' "$source"
  echo 'tool ('
  printf '\tk8s.io/kubernetes/cmd/%s\n' kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubelet
  printf ')\nrequire k8s.io/kubernetes v%s\nreplace (\n' "$version"
  sed -n "s|^\t\(k8s.io/[a-z-]*\) => ./staging.*|\t\1 => \1 v0${version#1}|p" "$source"
  echo ')'
} > go.mod
rm -f go.sum
go mod tidy
