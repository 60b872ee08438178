# shellcheck shell=bash
# The Scaler's tests in a cluster. Part of `./dev`, which reads this.

# The version that is built where KUBECONFIG names no cluster; Go's module proxy has its source.
KUBERNETES_VERSION=1.34.4

# [TEST…]: in the cluster that KUBECONFIG names.
tests_in_cluster() {
  if [ -z "${KUBECONFIG:-}" ]; then
    skipped "the Scaler is not tested in a cluster, but only against a stand-in of one, because KUBECONFIG names none (./dev cluster makes one)"
    return
  fi
  say "the Scaler in the cluster that $KUBECONFIG leads to"
  cargo test --package perper-scaler --test kubernetes --test kubernetes_api --test kubernetes_kills -- --ignored "in_the_cluster${1:+::$1}"
}

cmd_cluster() { # [TEST]: tests the Scaler in the cluster of KUBECONFIG, or with Kubernetes' own API server, built here
  need_rust
  if [ -n "${KUBECONFIG:-}" ]; then
    tests_in_cluster "$@"
    return
  fi
  local tools=$PWD/target/tools/kubernetes-$KUBERNETES_VERSION
  build_control_plane "$tools"
  # Global, since the trap runs when this function is over.
  control_plane=$(mktemp -d) control_plane_pids=()
  trap 'end_control_plane' EXIT
  say "starting Kubernetes $KUBERNETES_VERSION: its API server and its controllers, without nodes"
  start_control_plane "$tools" "$control_plane"
  KUBECONFIG=$control_plane/kubeconfig tests_in_cluster "$@"
}

# FOLDER: puts the programs of a control plane there.
build_control_plane() {
  local program folder
  mkdir -p "$1"
  if [ ! -x "$1/etcd" ]; then
    if command -v etcd >/dev/null; then
      ln -sf "$(command -v etcd)" "$1/etcd"
    else
      # Unpacked, not installed: that would also start it whenever the machine does.
      folder=$(mktemp -d)
      (cd "$folder" && apt-get download -qq etcd-server && dpkg-deb -x etcd-server_*.deb . && cp usr/bin/etcd "$1/") ||
        die "etcd is missing, and Debian's package etcd-server could not be had: apt-get update, or install it"
      rm -rf "$folder"
    fi
  fi
  [ ! -x "$1/kube-apiserver" ] || [ ! -x "$1/kube-controller-manager" ] || return 0
  command -v go >/dev/null || die "Kubernetes is compiled here, and Go is missing; or set KUBECONFIG to a cluster of yours"
  say "building Kubernetes $KUBERNETES_VERSION (the first time takes five minutes on two cores)"
  folder=$(mktemp -d)
  (
    cd "$folder"
    export GOFLAGS=-buildvcs=false CGO_ENABLED=0
    go mod init control-plane 2>/dev/null
    # Its parts have modules of their own, which it takes from its own tree; elsewhere they have to be named.
    own=$(go list -m -f '{{.GoMod}}' "k8s.io/kubernetes@v$KUBERNETES_VERSION")
    sed -n 's|^\t\(k8s\.io/[^ ]*\) => \./staging/.*|\1|p' "$own" | while read -r part; do
      printf 'replace %s => %s v0.%s\n' "$part" "$part" "${KUBERNETES_VERSION#1.}"
    done >>go.mod
    printf 'require k8s.io/kubernetes v%s\n' "$KUBERNETES_VERSION" >>go.mod
    printf 'package main\n' >main.go
    for program in kube-apiserver kube-controller-manager; do
      printf 'import _ "k8s.io/kubernetes/cmd/%s"\n' "$program" >>main.go
    done
    go mod tidy
    go build -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=v$KUBERNETES_VERSION" -o "$1/" \
      k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager
  ) >"$1/log" 2>&1 || { tail -n 20 "$1/log" >&2; die "Kubernetes could not be built"; }
  rm -rf "$folder"
}

# PROGRAMS FOLDER: starts a control plane that listens on this machine, and writes FOLDER/kubeconfig. It has no nodes, and
# checks rights as it should.
start_control_plane() {
  local tools=$1 folder=$2 token ports
  mapfile -t ports < <(python3 - <<'PORTS'
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
for each in sockets:
    print(each.getsockname()[1])
PORTS
  )
  token=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
  echo "$token,admin,admin,system:masters" >"$folder/tokens"
  cat >"$folder/kubeconfig" <<KUBECONFIG
apiVersion: v1
kind: Config
clusters: [{name: here, cluster: {server: 'https://127.0.0.1:${ports[2]}', certificate-authority: pki/apiserver.crt}}]
users: [{name: admin, user: {token: $token}}]
contexts: [{name: here, context: {cluster: here, user: admin}}]
current-context: here
KUBECONFIG
  openssl genrsa -out "$folder/accounts.key" 2048 2>/dev/null
  local etcd=http://127.0.0.1:${ports[0]} peers=http://127.0.0.1:${ports[1]}
  "$tools/etcd" --data-dir "$folder/data" --listen-client-urls "$etcd" --advertise-client-urls "$etcd" \
    --listen-peer-urls "$peers" --initial-advertise-peer-urls "$peers" --initial-cluster "default=$peers" \
    >"$folder/etcd" 2>&1 &
  control_plane_pids+=($!)
  "$tools/kube-apiserver" --etcd-servers "$etcd" --bind-address 127.0.0.1 --secure-port "${ports[2]}" \
    --cert-dir "$folder/pki" --token-auth-file "$folder/tokens" --authorization-mode RBAC \
    --enable-admission-plugins OwnerReferencesPermissionEnforcement --service-cluster-ip-range 10.0.0.0/24 \
    --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$folder/accounts.key" \
    --service-account-signing-key-file "$folder/accounts.key" >"$folder/apiserver" 2>&1 &
  control_plane_pids+=($!)
  python3 - "$folder" "${ports[2]}" "$token" <<'READY' || { tail -n 20 "$folder/apiserver" >&2; die "the API server did not start"; }
import ssl, sys, time, urllib.request
folder, port, token = sys.argv[1:]
request = urllib.request.Request(f"https://127.0.0.1:{port}/readyz", headers={"Authorization": f"Bearer {token}"})
end = time.monotonic() + 60
while True:
    try:
        context = ssl.create_default_context(cafile=f"{folder}/pki/apiserver.crt")
        urllib.request.urlopen(request, context=context, timeout=5)
        break
    except OSError as error:
        if time.monotonic() > end:
            sys.exit(f"not ready within a minute: {error}")
        time.sleep(0.1)
READY
  "$tools/kube-controller-manager" --kubeconfig "$folder/kubeconfig" --leader-elect=false --secure-port 0 \
    --service-account-private-key-file "$folder/accounts.key" >"$folder/controllers" 2>&1 &
  control_plane_pids+=($!)
}

end_control_plane() {
  local pid
  for pid in "${control_plane_pids[@]}"; do { kill "$pid"; wait "$pid"; } 2>/dev/null || true; done
  rm -rf "$control_plane"
}
