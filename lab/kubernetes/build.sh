# Builds Kubernetes and CoreDNS from Go modules, once, into the cache.
# shellcheck shell=bash disable=SC2154

# build FOLDER DESTINATION LDFLAGS PACKAGE...: with the versions of FOLDER/go.mod, whatever is not there yet.
build() {
  local folder=$1 to=$2 flags=$3 package name lock; shift 3
  mkdir -p "$to"
  for package in "$@"; do
    name=${package##*/}
    [[ -x $to/$name ]] && continue
    # Another clone may be at it.
    exec {lock}> "$to.lock"
    flock --nonblock "$lock" || { say "waiting for another lab to build $to"; flock "$lock"; }
    [[ -x $to/$name ]] || build_one
    exec {lock}>&-
  done
}

build_one() {
  local began=$SECONDS
  say "building $name (log: $to.log)"
  # What is half built never has the final name.
  (cd "$folder" && CGO_ENABLED=0 nice go build -trimpath -ldflags="-s -w $flags" -o "$to/.$name.new" "$package") \
    > "$to.log" 2>&1 || fail "cannot build $package: $(tail -n 5 "$to.log")"
  mv "$to/.$name.new" "$to/$name"
  say "built $name in $((SECONDS - began)) s"
}

# version_in FOLDER MODULE: the version that FOLDER/go.mod asks for.
version_in() { sed -n "s|^require $2 v||p" "$HERE/$1/go.mod"; }

# source_of FOLDER MODULE: where Go keeps the module's source, for what is built in its own; go.sum says what must come.
source_of() {
  command -v go > /dev/null || fail "Go is missing, with which $2 is built (https://go.dev/dl)"
  local answer
  answer=$(cd "$HERE/$1" && go mod download -json "$2") || fail "cannot fetch $2: $answer"
  sed -n 's/.*"Dir": "\(.*\)".*/\1/p' <<< "$answer"
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
