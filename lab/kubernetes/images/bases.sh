# Base images, made of Debian's packages under the names of the ones that people use: no registry is needed,
# and the Dockerfiles are the ones that are built elsewhere. What is made here is smaller than the originals
# and has the same paths, users and variables as far as our images need them.
# shellcheck shell=bash disable=SC2154

# unpacked FOLDER PACKAGE...: the files of the packages, without running anything of them.
unpacked() {
  local folder=$1 package; shift
  mkdir -p "$CACHE/debs"
  for package in "$@"; do
    compgen -G "$CACHE/debs/${package}_*.deb" > /dev/null ||
      (cd "$CACHE/debs" && apt-get -qq download "$package" > /dev/null 2>&1) || fail "cannot fetch $package from Debian"
    dpkg -x "$CACHE/debs/${package}"_*.deb "$folder"
  done
  rm -rf "$folder"/usr/share/{doc,man,lintian,locale}
}

# base NAME FOLDER OPTION...: the folder as an image, once.
base() {
  local name=$1 folder=$2 container; shift 2
  container=$(buildah from scratch)
  buildah copy --quiet "$container" "$folder" / > /dev/null
  buildah config --label made-by="$MADE_BY" "$@" "$container"
  buildah commit --quiet --timestamp 0 --rm "$container" "$name" > /dev/null
  say "made $name of Debian's packages, $(du -sm "$folder" | cut -f1) MB"
}

# Whether it has been made, by this very script.
exists() { [[ $(buildah inspect --type image --format '{{index .OCIv1.Config.Labels "made-by"}}' "$1" 2> /dev/null) == "$MADE_BY" ]]; }
MADE_BY=$(sha256sum "$HERE/images/bases.sh" | cut -d' ' -f1)

# User and group, and where names are looked up.
etc() {
  mkdir -p "$1"/{etc,tmp,home/"$2"}
  chmod 1777 "$1/tmp"
  printf 'root:x:0:0:root:/root:/sbin/nologin\n%s:x:%s:%s::/home/%s:/sbin/nologin\n' "$2" "$3" "$3" "$2" > "$1/etc/passwd"
  printf 'root:x:0:\n%s:x:%s:\n' "$2" "$3" > "$1/etc/group"
  echo 'hosts: files dns' > "$1/etc/nsswitch.conf"
  chown "$3:$3" "$1/home/$2"
}

certificates() {
  unpacked "$1" ca-certificates
  mkdir -p "$1/etc/ssl/certs"
  find "$1/usr/share/ca-certificates" -name '*.crt' | sort | xargs cat > "$1/etc/ssl/certs/ca-certificates.crt"
}

base_distroless() {
  local name=gcr.io/distroless/cc-debian12:nonroot root=$CONTEXTS/distroless
  exists "$name" && return
  unpacked "$root" libc6 libgcc-s1 libstdc++6 libssl3 tzdata
  certificates "$root"
  etc "$root" nonroot 65532
  base "$name" "$root" --user 65532 --workingdir /home/nonroot \
    --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
}

# A Java without what a server does not need. java.desktop is there for java.beans, which log4j wants.
base_temurin() {
  local name=docker.io/library/eclipse-temurin:17-jre root=$CONTEXTS/temurin jlink
  exists "$name" && return
  jlink=$(ls /usr/lib/jvm/*-17-*/bin/jlink 2> /dev/null | head -n 1)
  [[ -n $jlink && -d $(dirname "$jlink")/../jmods ]] || fail 'a JDK 17 is missing: apt-get install openjdk-17-jdk-headless'
  unpacked "$root" libc6 libgcc-s1 libstdc++6 zlib1g tzdata
  certificates "$root"
  etc "$root" ubuntu 1000
  mkdir -p "$root/opt/java"
  "$jlink" --strip-debug --no-man-pages --no-header-files --vm=server --output "$root/opt/java/openjdk" --add-modules \
"java.base,java.compiler,java.desktop,java.instrument,java.logging,java.management,java.management.rmi,java.naming,\
java.net.http,java.rmi,java.scripting,java.security.jgss,java.security.sasl,java.sql,java.xml,jdk.attach,jdk.crypto.ec,\
jdk.httpserver,jdk.jcmd,jdk.management,jdk.management.agent,jdk.naming.dns,jdk.unsupported,jdk.zipfs"
  shell "$root"
  base "$name" "$root" --env JAVA_HOME=/opt/java/openjdk --env LANG=en_US.UTF-8 \
    --env PATH=/opt/java/openjdk/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
}

base_busybox() {
  local name=docker.io/library/busybox:1.36 root=$CONTEXTS/busybox
  exists "$name" && return
  etc "$root" nobody 65534
  shell "$root"
  base "$name" "$root" --cmd sh --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
}

shell() {
  mkdir -p "$1/bin"
  cp /bin/busybox "$1/bin/busybox"
  # One of its applets is busybox itself; another, setpriv, lacks most of what the real one can do.
  busybox --list | grep -vxE 'busybox|setpriv' | while read -r applet; do [[ -e $1/bin/$applet ]] || ln -s busybox "$1/bin/$applet"; done
}
