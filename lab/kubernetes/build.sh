# Builds Kubernetes and CoreDNS from Go modules, once, into the cache.
# shellcheck shell=bash disable=SC2154

# build FOLDER DESTINATION LDFLAGS PACKAGE...: with the versions of FOLDER/go.mod.
build() {
  local folder=$1 to=$2 flags=$3 began=$SECONDS package; shift 3
  [[ -d $to ]] && return
  mkdir -p "$CACHE"
  # Another clone may be at it; and what is half built never has the final name.
  exec {lock}> "$to.lock"
  flock --nonblock "$lock" || { say "waiting for another lab to build $to"; flock "$lock"; }
  if [[ ! -d $to ]]; then
    rm -rf "$to.new"; mkdir "$to.new"
    for package in "$@"; do
      say "building ${package##*/} (log: $to.log)"
      (cd "$folder" && CGO_ENABLED=0 nice go build -trimpath -ldflags="-s -w $flags" -o "$to.new/${package##*/}" "$package") \
        >> "$to.log" 2>&1 || fail "cannot build $package: $(tail -n 5 "$to.log")"
    done
    mv "$to.new" "$to"
    say "built $(basename "$to") in $((SECONDS - began)) s"
  fi
  exec {lock}>&-
}

# kubernetes_binaries NAME...
kubernetes_binaries() {
  local version=k8s.io/component-base/version major minor
  IFS=. read -r major minor _ <<< "$KUBERNETES"
  local folder=$HERE/kubernetes-$major.$minor
  [[ -d $folder ]] || fail "no Kubernetes $KUBERNETES here; there is: $(cd "$HERE" && ls -d kubernetes-*)"
  grep -q "k8s.io/kubernetes v$KUBERNETES" "$folder/go.mod" || fail "$folder/go.mod is not for $KUBERNETES"
  build "$folder" "$BIN" \
    "-X $version.gitVersion=v$KUBERNETES -X $version.gitMajor=$major -X $version.gitMinor=$minor -X $version.gitTreeState=clean" \
    "${@/#/k8s.io/kubernetes/cmd/}"
}

coredns_binary() { build "$HERE/coredns" "$COREDNS" '' sluice.lab/coredns; }
