# etcd, API server, controller manager, scheduler: keys and users first, then the processes.
# shellcheck shell=bash disable=SC2154

# One authority signs every certificate; users come with tokens, each in a kubeconfig of its own.
make_keys() {
  [[ -f $RUN/tokens.csv ]] && return
  (
    cd "$KEYS"
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=sluice-lab -keyout ca.key -out ca.crt
    certificate apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,\
DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:$NODE_IP,IP:$API_SERVICE_IP"
    certificate aggregator /CN=aggregator
    certificate to-kubelet /O=system:masters/CN=kube-apiserver
    openssl genrsa -out service-accounts.key 2048
    openssl rsa -in service-accounts.key -pubout -out service-accounts.pub
  ) 2> "$LOGS/keys.log" || fail "cannot make certificates: $(tail -n 3 "$LOGS/keys.log")"
  local tokens=$RUN/tokens.csv.new
  : > "$tokens"
  user admin admin system:masters
  user controller-manager system:kube-controller-manager
  user scheduler system:kube-scheduler
  user node "system:node:$NODE" system:nodes
  user node-proxy system:kube-proxy
  mv "$tokens" "$RUN/tokens.csv"
}

# certificate NAME SUBJECT [NAMES]: for servers and clients alike.
certificate() {
  openssl req -newkey rsa:2048 -nodes -subj "$2" -keyout "$1.key" -out "$1.csr"
  printf 'extendedKeyUsage=serverAuth,clientAuth\n%s\n' "${3:+subjectAltName=$3}" > "$1.ext"
  openssl x509 -req -days 3650 -CA ca.crt -CAkey ca.key -CAcreateserial -in "$1.csr" -extfile "$1.ext" -out "$1.crt"
}

# user FILE NAME [GROUP]
user() {
  local token; token=$(openssl rand -hex 16)
  echo "$token,$2,$1,\"${3:-}\"" >> "$tokens"
  cat > "$RUN/$1.kubeconfig" <<Y
apiVersion: v1
kind: Config
clusters:
- {name: sluice-lab, cluster: {server: "https://$NODE_IP:6443", certificate-authority: $KEYS/ca.crt}}
users:
- {name: $1, user: {token: $token}}
contexts:
- {name: sluice-lab, context: {cluster: sluice-lab, user: $1}}
current-context: sluice-lab
Y
  chmod 600 "$RUN/$1.kubeconfig"
}

start_etcd() {
  start etcd etcd --data-dir "$RUN/etcd" --log-level error --unsafe-no-fsync \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster default=http://127.0.0.1:2380
}

start_kube_apiserver() {
  start kube-apiserver "$BIN/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 \
    --secure-port=6443 --advertise-address="$NODE_IP" --service-cluster-ip-range="$SERVICES" \
    --authorization-mode=Node,RBAC --token-auth-file="$RUN/tokens.csv" --allow-privileged \
    --enable-admission-plugins=NodeRestriction \
    --tls-cert-file="$KEYS/apiserver.crt" --tls-private-key-file="$KEYS/apiserver.key" \
    --client-ca-file="$KEYS/ca.crt" \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$KEYS/service-accounts.pub" \
    --service-account-signing-key-file="$KEYS/service-accounts.key" \
    --kubelet-client-certificate="$KEYS/to-kubelet.crt" --kubelet-client-key="$KEYS/to-kubelet.key" \
    --kubelet-preferred-address-types=InternalIP \
    --requestheader-client-ca-file="$KEYS/ca.crt" --requestheader-allowed-names=aggregator \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$KEYS/aggregator.crt" --proxy-client-key-file="$KEYS/aggregator.key"
}

# On a machine with few cores a node may miss its reports for a while: it is not taken for lost.
start_kube_controller_manager() {
  local flags; mapfile -t flags < <(as controller-manager)
  start kube-controller-manager "$BIN/kube-controller-manager" "${flags[@]}" \
    --use-service-account-credentials --service-account-private-key-file="$KEYS/service-accounts.key" \
    --root-ca-file="$KEYS/ca.crt" --cluster-signing-cert-file="$KEYS/ca.crt" \
    --cluster-signing-key-file="$KEYS/ca.key" --node-monitor-grace-period=1h
}

start_kube_scheduler() {
  local flags; mapfile -t flags < <(as scheduler)
  start kube-scheduler "$BIN/kube-scheduler" "${flags[@]}"
}

# The flags by which a component is the user $1, one a line.
as() {
  printf '%s\n' "--kubeconfig=$RUN/$1.kubeconfig" "--authentication-kubeconfig=$RUN/$1.kubeconfig" \
    "--authorization-kubeconfig=$RUN/$1.kubeconfig" --bind-address=127.0.0.1 --leader-elect=false
}

control_plane_up() {
  make_keys
  start_etcd
  start_kube_apiserver
  await 'API server' 120 kubectl get --raw /readyz
  start_kube_controller_manager
  start_kube_scheduler
  await 'controller manager' 60 kubectl get serviceaccount default
}
