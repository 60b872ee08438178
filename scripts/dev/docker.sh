# shellcheck shell=bash
# Images, and what is tested with a real Docker Engine. Part of `./dev`, which reads this.

# Where Compose is, of whichever generation.
have_compose() { docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null; }

# An engine that can be started, its client and Compose: installs what is missing where apt-get can.
need_docker() {
  if command -v dockerd >/dev/null && command -v docker >/dev/null && have_compose; then return; fi
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing a Docker Engine and Compose"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends docker.io docker-compose iptables; } \
      >/dev/null 2>&1 || true
  fi
  command -v dockerd >/dev/null || { skipped "there is no Docker Engine here (docker.io), and apt-get could not install it"; return 1; }
  command -v docker >/dev/null || { skipped "the client of Docker is not here"; return 1; }
  have_compose || { skipped "Compose is not here (docker-compose)"; return 1; }
}

# Starts an engine of our own, with everything that is its in a folder of its own; stop_engine ends it. Nothing is published
# or routed, so it needs none of the host's firewall, and containers of one network reach each other all the same.
start_engine() {
  engine_folder=$(mktemp -d /tmp/perper-docker.XXXXXX)
  chmod 755 "$engine_folder"
  dockerd --storage-driver=vfs --iptables=false --ip6tables=false --ip-masq=false --bridge=none \
    --data-root "$engine_folder/data" --exec-root "$engine_folder/exec" --pidfile "$engine_folder/pid" \
    --host "unix://$engine_folder/socket" >"$engine_folder/log" 2>&1 &
  engine_pid=$!
  export DOCKER_HOST=unix://$engine_folder/socket
  # It says nowhere that it is ready, so it is asked, for half a minute.
  for _ in {1..150}; do
    if docker version >/dev/null 2>&1; then return; fi
    kill -0 "$engine_pid" 2>/dev/null || break
    sleep 0.2
  done
  skipped "the Docker Engine could not be started: $(tail -n 1 "$engine_folder/log")"
  stop_engine
  return 1
}

stop_engine() {
  [ -n "${engine_pid:-}" ] || return 0
  # Containers of a run that failed, and the devices of networks, would outlive the engine.
  local left
  left=$(docker ps --all --quiet 2>/dev/null) || true
  # shellcheck disable=SC2086
  [ -z "$left" ] || docker rm --force $left >/dev/null 2>&1 || true
  docker network prune --force >/dev/null 2>&1 || true
  kill "$engine_pid" 2>/dev/null || true
  wait "$engine_pid" 2>/dev/null || true
  rm -rf "$engine_folder" || say "$engine_folder could not be removed"
  unset DOCKER_HOST engine_pid
}

# PROFILE: the three images, made by the engine that DOCKER_HOST names. Binaries are static, so nothing else is in them.
build_images() {
  local profile=$1 folder=$1 version revision name package binary context=target/images authorities
  [ "$profile" != dev ] || folder=debug
  version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)
  revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
  authorities=/etc/ssl/certs/ca-certificates.crt
  if [ ! -r "$authorities" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      apt-get install -y -qq --no-install-recommends ca-certificates >/dev/null
    fi
    [ -r "$authorities" ] || die "$authorities is missing: on Debian, apt-get install ca-certificates"
  fi
  local flags=(-C target-feature=+crt-static -C strip=symbols)
  # The linker that Rust brings along there puts equal functions together.
  [ "$(uname -m)" != x86_64 ] || flags+=(-C 'link-arg=-Wl,--icf=all')
  # Unoptimised ones are for tests: fixed addresses save a tenth.
  [ "$profile" != dev ] || flags+=(-C relocation-model=static)
  # Where the client's plugin for building is missing, the engine's own builder does as well.
  docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
  for name in fabric:perper-fabric:perper-fabric scaler:perper-scaler:perper-scaler wordcount:perper-examples:wordcount; do
    IFS=: read -r name package binary <<<"$name"
    # Only the binary is linked anew, of what other commands have compiled.
    cargo rustc --quiet --profile "$profile" --package "$package" --bin "$binary" -- "${flags[@]}"
    rm -rf "${context:?}/$name"
    mkdir -p "$context/$name/data"
    cp "target/$folder/$binary" "$context/$name/"
    cp "$authorities" "$context/$name/ca-certificates.crt"
    echo 'perper:x:65532:65532:Perper:/:/' >"$context/$name/passwd"
    docker build --quiet --tag "perper-$name:$version" --file "deploy/docker/$name/Dockerfile" \
      --build-arg "VERSION=$version" --build-arg "REVISION=$revision" "$context/$name" >/dev/null 2>"$context/log" ||
      { cat "$context/log" >&2; die "the image perper-$name could not be built"; }
    rm -rf "${context:?}/$name"
  done
  docker image ls --filter "label=org.opencontainers.image.version=$version" \
    --format '{{.Repository}}:{{.Tag}}  {{.Size}}' >&2
}

cmd_images() { # [PROFILE]: builds the images of the Fabric, the Scaler and the example, offline; PROFILE is dist
  need_rust
  command -v docker >/dev/null || die "the client of Docker is missing: on Debian, apt-get install docker.io"
  if docker version >/dev/null 2>&1; then
    say "building images with the engine that is here"
    build_images "${1:-dist}"
    return
  fi
  need_docker || die "images are made by a Docker Engine"
  say "building images with an engine of our own, since none answers: they are saved to target/images"
  trap stop_engine EXIT
  start_engine || die "images are made by a Docker Engine"
  build_images "${1:-dist}"
  local name version
  version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)
  for name in fabric scaler wordcount; do
    docker save --output "target/images/perper-$name.tar" "perper-$name:$version"
  done
  say "docker load --input target/images/perper-fabric.tar   (and so on) brings them into another engine"
}

cmd_docker() { # [TEST…]: tests the images and the Scaler with a real Docker Engine, which it starts
  need_rust
  say "images and containers"
  need_docker || return 0
  trap stop_engine EXIT
  start_engine || return 0
  build_images dev
  # Some machines let an engine start, but no network or container. 125 is the engine's own failure.
  local image status=0 refused
  image=perper-fabric:$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)
  refused=$(docker network create perper-probe 2>&1 >/dev/null) || status=125
  if [ "$status" = 0 ]; then
    refused=$(docker run --rm --network perper-probe "$image" --version 2>&1 >/dev/null) || status=$?
  fi
  if [ "$status" = 125 ]; then
    skipped "the Docker Engine runs no container here: $refused"
    stop_engine
    return 0
  fi
  [ "$status" = 0 ] || die "the image $image does not run (exit code $status): $refused"
  # All of the workspace, so that nothing is compiled once more for having other features.
  cargo test --workspace --exclude perper-conformance --test images --test compose -- --ignored --nocapture "$@"
  stop_engine
}
