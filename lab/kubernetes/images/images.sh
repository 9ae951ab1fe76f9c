#!/usr/bin/env bash
# images.sh [--debug] [NAME...]: the images of this repository, into out/images/NAME.tar, with their sizes.
#
#   sluice              the agent                         sidecar/Dockerfile
#   data-generator      writers and the busy reader       data-generator/Dockerfile
#   flink-busy-reader   Flink with the job                jobmanager/Dockerfile
#   pravega             Pravega as the lab starts it      lab/kubernetes/images/pravega/Dockerfile
#   busybox             a shell
#
# --debug takes the binaries of `cargo build`, stripped, where they are built already: for the lab's tests.
# BINARIES=DIR takes those of another build, for example of a pipeline.
# Any builder takes the same Dockerfiles; the lab's is buildah, which needs no daemon. Base images are made
# here of Debian's packages under the names that the Dockerfiles use, for want of a registry (bases.sh).
set -euo pipefail
cd "$(dirname "$0")"
. ../places.sh
. ./bases.sh

OUT=$REPO/out/images
FLINK=${FLINK:-1.20.5}
PROFILE=release
[[ ${1:-} == --debug ]] && { PROFILE=debug; shift; }
NAMES=("$@")
(( ${#NAMES[@]} > 0 )) || NAMES=(sluice data-generator flink-busy-reader pravega busybox)
VERSION=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' "$REPO/Cargo.toml")
REVISION=$(git -C "$REPO" rev-parse HEAD 2> /dev/null || echo unknown)
# The same sources give the same image, bit for bit: every time in it is that of the last commit.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$REPO" log -1 --format=%ct 2> /dev/null || echo 0)}

# What it mounts is in a mount namespace of its own and goes with it.
buildah() {
  unshare --mount --propagation private buildah --root "$CACHE/images" --runroot "$CONTEXTS/run" \
    --storage-driver overlay --registries-conf "$PWD/registries.conf" "$@"
}

# binary NAME: built if need be, without what only a debugger reads.
binary() {
  local from=${BINARIES:-$REPO/target/$PROFILE}
  if [[ -n ${BINARIES:-} ]]; then
    [[ -x $from/$1 ]] || fail "there is no $from/$1"
  elif [[ $PROFILE == release ]]; then
    (cd "$REPO" && nice cargo build --release --bin "$1") || fail "cannot build $1"
  elif [[ ! -x $REPO/target/debug/$1 ]]; then
    (cd "$REPO" && cargo build --bin "$1") || fail "cannot build $1"
  fi
  strip -o "$CONTEXTS/$1.stripped" "$from/$1"
  echo "$CONTEXTS/$1.stripped"
}

# image NAME:TAG DOCKERFILE CONTEXT
image() {
  local name=docker.io/library/$1 archive=$OUT/${1%%:*}.tar
  buildah bud --quiet --pull-never --timestamp "$SOURCE_DATE_EPOCH" --build-arg VERSION="$VERSION" \
    --build-arg REVISION="$REVISION" --tag "$name" --file "$2" "$3" > /dev/null
  rm -f "$archive"
  buildah push --quiet "$name" "docker-archive:$archive:$name" > /dev/null
  printf '%-26s %4d MB, %5.1f MB of it over %s\n' "$1" "$(($(stat -c %s "$archive") / 1000000))" \
    "$(megabytes_over_base "$archive")" "$(sed -n 's/^FROM //p' "$2")"
}

# Of an archive: all layers but the first, which is the base.
megabytes_over_base() {
  python3 - "$1" <<'P'
import json, sys, tarfile
archive = tarfile.open(sys.argv[1])
layers = json.load(archive.extractfile("manifest.json"))[0]["Layers"]
print(sum(archive.getmember(layer).size for layer in layers[1:]) / 1e6)
P
}

# Each builder below fills a context with exactly what its Dockerfile copies.
context() { mkdir -p "$CONTEXTS/$1"; echo "$CONTEXTS/$1"; }

build_sluice() {
  base_distroless
  local context; context=$(context sluice)
  cp "$(binary sluice)" "$context/sluice"
  image "sluice:$VERSION" "$REPO/sidecar/Dockerfile" "$context"
}

build_data_generator() {
  base_distroless
  local context; context=$(context data-generator)
  cp "$(binary data-generator)" "$context/data-generator"
  image "data-generator:$VERSION" "$REPO/data-generator/Dockerfile" "$context"
}

build_flink_busy_reader() {
  base_temurin
  local context; context=$(context flink) ; local home=$CACHE/flink-$FLINK
  [[ -d $home ]] || (cd "$REPO" && cargo run --quiet --bin lab -- fetch --flink "$FLINK")
  local jar=$REPO/jobmanager/job/target/flink-$FLINK/busy-reader.jar
  [[ -f $jar ]] || make -C "$REPO" "${jar#"$REPO/"}"
  mkdir -p "$context/flink"
  cp -r "$home/lib" "$home/plugins" "$context/flink/"
  cp "$jar" "$context/busy-reader.jar"
  image "flink-busy-reader:$VERSION" "$REPO/jobmanager/Dockerfile" "$context"
}

build_pravega() {
  base_temurin
  local context; context=$(context pravega)
  local jars; jars=$(ls -d "$CACHE"/pravega-*/ 2> /dev/null || { cd "$REPO" && cargo run --quiet --bin lab -- fetch >&2; ls -d "$CACHE"/pravega-*/; })
  cp -r "$jars" "$context/"
  cp "$(binary lab)" "$context/lab"
  image "sluice-lab-pravega:$VERSION" "$PWD/pravega/Dockerfile" "$context"
}

build_busybox() {
  base_busybox
  rm -f "$OUT/busybox.tar"
  buildah push --quiet docker.io/library/busybox:1.36 "docker-archive:$OUT/busybox.tar:docker.io/library/busybox:1.36" > /dev/null
}

[[ $EUID == 0 ]] || fail 'images are built as root'
command -v buildah > /dev/null || DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install --yes \
  --no-install-recommends buildah busybox-static > /dev/null || fail 'cannot install buildah'
mkdir -p "$OUT"
CONTEXTS=$(mktemp -d)
trap 'rm -rf "$CONTEXTS"' EXIT
for name in "${NAMES[@]}"; do "build_${name//-/_}"; done
