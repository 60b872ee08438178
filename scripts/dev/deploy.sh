# shellcheck shell=bash
# What is applied to a cluster: the chart and the kustomization.

# The version that is built where no helm is installed; Go's module proxy has its source.
HELM_VERSION=v3.22.0

# The package that carries Kubernetes' schemas: another one may know versions that nobody has looked at.
VALIDATE_VERSION=1.37.0

# Sets helm to a program; nothing if it cannot be had.
find_helm() {
  helm=$(command -v helm || true)
  [ -n "$helm" ] && return
  local built=$PWD/target/tools/helm rules=helm.sh/helm/v3/pkg versions
  # As its own makefile does: else it takes every cluster for one of 1.20.
  versions=$(printf ' -X %s=1 -X %s=33' "$rules"/{lint/rules,chartutil}.k8sVersion{Major,Minor})
  if [ ! -x "$built" ]; then
    command -v go >/dev/null || return 0
    say "building helm $HELM_VERSION (the first time takes a minute or two)"
    GOBIN=$PWD/target/tools GOFLAGS=-buildvcs=false CGO_ENABLED=0 \
      timeout 600 go install -ldflags "-s -w $versions" "helm.sh/helm/v3/cmd/helm@$HELM_VERSION" 2>target/helm.log ||
      { tail -n 5 target/helm.log >&2; return 0; }
  fi
  helm=$built
}

# What is applied to a cluster, rendered and held against Kubernetes' schemas; no cluster is asked.
manifests() {
  if ! python3 -c 'import venv' 2>/dev/null; then
    skipped "manifests are not checked, since python3 with venv is not here"
    return
  fi
  local venv=target/manifests helm kubectl
  mkdir -p target
  if [ "$("$venv/bin/pip" show kubernetes-validate 2>/dev/null | sed -n 's/^Version: //p')" != "$VALIDATE_VERSION" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "kubernetes-validate==$VALIDATE_VERSION" ||
      { skipped "manifests are not checked: they need kubernetes-validate, which pip could not install"; return; }
  fi
  find_helm
  kubectl=$(command -v kubectl || true)
  say "manifests"
  "$venv/bin/python" scripts/check-manifests ${helm:+--helm "$helm"} ${kubectl:+--kubectl "$kubectl"}
}

cmd_deploy() { # checks the chart and the manifests for Kubernetes
  manifests
}
