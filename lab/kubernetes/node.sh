# The node: containerd, kubelet, kube-proxy, and CoreDNS as the first pod.
# shellcheck shell=bash disable=SC2154

# A template of conf/ with the names of this run.
filled() {
  sed -e "s|@RUN@|$RUN|g" -e "s|@KEYS@|$KEYS|g" -e "s|@PODS@|$PODS|g" -e "s|@DNS_IP@|$DNS_IP|g" \
    -e "s|@CGROUP@|$CGROUP|g" -e "s|@NODE@|$NODE|g" "$HERE/conf/$1"
}

ctr() { on_machine ctr -n k8s.io "$@"; }

start_containerd() { start containerd containerd --config "$RUN/containerd.toml"; }

start_kubelet() {
  start kubelet "$BIN/kubelet" --config="$RUN/kubelet.yaml" --kubeconfig="$RUN/node.kubeconfig" \
    --hostname-override="$NODE" --node-ip="$NODE_IP" --root-dir="$RUN/kubelet" --cert-dir="$RUN/kubelet-pki"
}

# The limits on connections are the host's, and stay as they are.
start_kube_proxy() {
  start kube-proxy "$BIN/kube-proxy" --proxy-mode=nftables --kubeconfig="$RUN/node-proxy.kubeconfig" \
    --hostname-override="$NODE" --cluster-cidr="$PODS" \
    --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
}

node_up() {
  mkdir -p "$RUN/cni"
  filled containerd.toml > "$RUN/containerd.toml"
  filled kubelet.yaml > "$RUN/kubelet.yaml"
  filled pods.conflist > "$RUN/cni/10-pods.conflist"
  start_containerd
  await containerd 30 ctr version
  import_missing sluice-lab/pause:1 pause_image
  start_kubelet
  start_kube_proxy
  await 'node ready' 90 kubectl wait --for=condition=Ready "node/$NODE" --timeout=1s
}

names_up() {
  import_missing sluice-lab/coredns:1 coredns_image
  filled coredns.yaml | kubectl apply -f - > /dev/null
  await 'names of Services (CoreDNS)' 90 \
    kubectl -n kube-system wait --for=condition=Available deployment/coredns --timeout=1s
}

# import_missing NAME MAKE: the image under docker.io, as Kubernetes completes a name without registry.
import_missing() {
  [[ -n $(ctr images ls -q "name==docker.io/$1") ]] && return
  "$2" "docker.io/$1" | ctr images import - > /dev/null
}

# The sandbox of a pod does nothing but hold its network.
pause_image() {
  local root=$RUN/pause
  mkdir -p "$root"
  cp /bin/busybox "$root/"
  python3 "$HERE/one_layer_image.py" "$1" "$root" /busybox sleep 1000000000
  rm -rf "$root"
}

coredns_image() { python3 "$HERE/one_layer_image.py" "$1" "$COREDNS" /coredns; }

# Volumes for claims that name no storage class: folders on the disk, writable by any user, because
# Kubernetes does not change the owner of such a folder.
volumes_up() {
  local number
  for number in {1..20}; do
    mkdir -p -m 777 "$RUN/volumes/$number"
    cat <<Y
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: lab-$number}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce, ReadWriteMany]
  hostPath: {path: $RUN/volumes/$number}
Y
  done | kubectl apply -f - > /dev/null
}
