# shellcheck shell=bash
# The Node package. Part of `./dev`, which reads this.

need_node() {
  command -v node >/dev/null && command -v npm >/dev/null && return
  skipped "the Node package needs Node 20.9 or later with npm, which is not here"
  return 1
}

# [FLAGS…]: unoptimised, and in the workspace's target folder: what other commands have built is not built again.
build_node() {
  need_rust
  say "building the Node package"
  if [ ! node/node_modules/.package-lock.json -nt node/package-lock.json ]; then
    (cd node && npm ci --no-audit --no-fund --loglevel=error)
  fi
  node node/scripts/build.mjs "$@"
}

cmd_node() { # [--build-only | --pack FOLDER]: builds, lints and tests the Node package
  need_node || return 0
  if [ "${1:-}" = --pack ]; then
    build_node --profile dist
    node node/scripts/pack.mjs "${2:?the folder for the packages is missing}"
    return
  fi
  build_node
  [ "${1:-}" != --build-only ] || return 0
  say "lints and tests of the Node package"
  (cd node && npm run --silent lint && npm test --silent)
}
