# shellcheck shell=bash
# Images, and what is tested with a real Docker Engine. Part of `./dev`, which reads this.

# A program with an end: an engine that hangs must not hold whoever asks it.
limited() { timeout --foreground --kill-after=10 180 "$@"; }

# Compose, of whichever generation.
have_compose() { docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null; }

have_engine() { command -v dockerd >/dev/null && command -v docker >/dev/null && command -v ip >/dev/null && have_compose; }

# An engine that can be started, its client and Compose: installs what is missing where apt-get can. False, and a word on
# it, where none can be had.
need_docker() {
  local refused
  [ "$(id -u)" = 0 ] || { skipped "nothing is tested with a Docker Engine, because only root can start one"; return 1; }
  if ! have_engine; then
    if ! command -v apt-get >/dev/null; then
      skipped "nothing is tested with a Docker Engine, because dockerd, docker, ip or Compose is not here, nor apt-get"
      return 1
    fi
    say "installing a Docker Engine and Compose"
    mkdir -p target
    if ! install_docker >target/docker.log 2>&1 || ! have_engine; then
      skipped "nothing is tested with a Docker Engine, because apt-get could not install it: $(tail -n 1 target/docker.log)"
      return 1
    fi
  fi
  if ! refused=$(unshare --fork --pid --mount-proc --net mount -t tmpfs tmpfs /run 2>&1); then
    skipped "nothing is tested with a Docker Engine, because this machine gives it no namespaces: $refused"
    return 1
  fi
}

# Its packages start no service: whoever starts an engine here also ends it.
install_docker() {
  local -x DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  local apt=(timeout --foreground --kill-after=10 600 apt-get -qq -o DPkg::Lock::Timeout=120)
  "${apt[@]}" update
  "${apt[@]}" install -y --no-install-recommends docker.io docker-compose iptables iproute2
}

# FUNCTION [ARGUMENTS…]: runs it with an engine of its own, which DOCKER_HOST names there, in a folder of its own.
#
# The engine, its containers, their networks and mounts, and the function itself are in namespaces of their own. When the
# first process there ends, or this shell, the kernel ends all of them, however they hang.
with_engine() {
  local former status=0
  for former in /tmp/perper-docker.*; do
    # Of one that was killed together with its shell.
    [ ! -e "$former/pid" ] || kill -0 "$(cat "$former/pid")" 2>/dev/null || remove_engine "$former"
  done
  # Global, since the trap may run when this function is over.
  engine_folder=$(mktemp -d /tmp/perper-docker.XXXXXX) engine_pid=''
  trap end_engine EXIT
  # The engine is in the background, since only then this shell obeys these at once.
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  setpriv --pdeathsig KILL unshare --fork --kill-child --pid --mount-proc --net \
    "$BASH" ./dev inside-engine "$engine_folder" "$@" &
  engine_pid=$!
  echo "$engine_pid" >"$engine_folder/pid"
  wait "$engine_pid" || status=$?
  engine_pid=''
  end_engine
  trap - EXIT INT TERM HUP
  return "$status"
}

end_engine() {
  trap '' INT TERM HUP
  if [ -n "$engine_pid" ]; then
    { kill -KILL "$engine_pid"; wait "$engine_pid"; } 2>/dev/null || true
  fi
  remove_engine "$engine_folder"
}

# FOLDER: all that is left of an engine that has ended.
remove_engine() {
  # The last of its processes may still be at their ends, and a control group stays as long as one is in it.
  for _ in {1..100}; do
    find /sys/fs/cgroup -depth -type d -path "*/${1##*/}*" -exec rmdir {} + 2>/dev/null || true
    rm -rf "$1" 2>/dev/null || true
    if [ -z "$(find /sys/fs/cgroup "$1" -path "*/${1##*/}*" 2>/dev/null)" ]; then return; fi
    sleep 0.1
  done
  say "$1, or its control groups, could not be removed"
}

# FOLDER FUNCTION [ARGUMENTS…]: the first process of the namespaces.
cmd_inside-engine() {
  local folder=$1
  shift
  # What the engine reads or leaves elsewhere than in its folder is seen by nobody else.
  mount -t tmpfs tmpfs /run
  mkdir /run/etc /run/work
  mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work overlay /etc
  rm -rf /etc/docker
  ip link set lo up
  # Nothing is published or routed, so it needs no firewall; containers of one network reach each other all the same.
  dockerd --storage-driver=vfs --iptables=false --ip6tables=false --ip-masq=false --ip-forward=false --bridge=none \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/${folder##*/}" \
    --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/dockerd" \
    --host "unix://$folder/socket" >"$folder/log" 2>&1 &
  local engine=$!
  export DOCKER_HOST=unix://$folder/socket
  # It says nowhere that it is ready, so it is asked.
  local refused end=$((SECONDS + 60))
  until timeout --foreground 10 docker version >/dev/null 2>&1; do
    if ! kill -0 "$engine" 2>/dev/null || [ "$SECONDS" -gt "$end" ]; then break; fi
    sleep 0.2
  done
  if ! refused=$(try_engine 2>&1); then
    tail -n 5 "$folder/log" >&2
    skipped "nothing is tested with a Docker Engine, because it cannot run containers here: $refused"
    return
  fi
  # Whatever is left in there goes with the folder.
  mkdir "$folder/tmp"
  engine_log=$folder/log
  export TMPDIR=$folder/tmp
  trap '[ "$?" = 0 ] || { say "the last that the Docker Engine said"; tail -n 20 "$engine_log" >&2; }' EXIT
  "$@"
}

# Some machines let an engine start, but no network or container: tried with a program that is none of ours.
try_engine() {
  limited docker network create perper-try >/dev/null || return
  # shellcheck disable=SC2046
  tar --create --dereference /bin/true $(ldd /bin/true | grep -o '/[^ ]*') 2>/dev/null |
    limited docker import - perper-try >/dev/null || return
  limited docker run --rm --network perper-try perper-try /bin/true || return
  limited docker network rm perper-try >/dev/null
  limited docker image rm perper-try >/dev/null
}

# NAME:PACKAGE:BINARY of each image.
image_list=(fabric:perper-fabric:perper-fabric scaler:perper-scaler:perper-scaler wordcount:perper-examples:wordcount)

image_version() { sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml; }

# PROFILE: the files of the three images, in target/images. Binaries are static, so nothing else is in them.
compile_images() {
  local profile=$1 folder=$1 name package binary context authorities=/etc/ssl/certs/ca-certificates.crt
  [ "$profile" != dev ] || folder=debug
  if [ ! -r "$authorities" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      timeout --foreground --kill-after=10 600 apt-get install -y -qq --no-install-recommends ca-certificates >/dev/null
    fi
    [ -r "$authorities" ] || die "$authorities is missing: on Debian, apt-get install ca-certificates"
  fi
  local flags=(-C target-feature=+crt-static -C strip=symbols)
  # The linker that Rust brings along there puts equal functions together.
  [ "$(uname -m)" != x86_64 ] || flags+=(-C 'link-arg=-Wl,--icf=all')
  # Unoptimised ones are for tests: fixed addresses save a tenth.
  [ "$profile" != dev ] || flags+=(-C relocation-model=static)
  for name in "${image_list[@]}"; do
    IFS=: read -r name package binary <<<"$name"
    # Only the binary is linked anew, of what other commands have compiled.
    cargo rustc --quiet --profile "$profile" --package "$package" --bin "$binary" -- "${flags[@]}"
    context=target/images/$name
    rm -rf "$context"
    mkdir -p "$context/data"
    cp "target/$folder/$binary" "$context/"
    cp "$authorities" "$context/ca-certificates.crt"
    echo 'perper:x:65532:65532:Perper:/:/' >"$context/passwd"
  done
}

# The three images, of these files, made by the engine that DOCKER_HOST names.
build_images() {
  local version revision name
  version=$(image_version)
  revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
  # Where the client's plugin for building is missing, the engine's own builder does as well.
  docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
  for name in "${image_list[@]}"; do
    name=${name%%:*}
    limited docker build --quiet --tag "perper-$name:$version" --file "deploy/docker/$name/Dockerfile" \
      --build-arg "VERSION=$version" --build-arg "REVISION=$revision" "target/images/$name" >/dev/null 2>target/images/log ||
      { cat target/images/log >&2; die "the image perper-$name could not be built"; }
    rm -rf "target/images/$name"
  done
  limited docker image ls --filter "label=org.opencontainers.image.version=$version" \
    --format '{{.Repository}}:{{.Tag}}  {{.Size}}' >&2
}

cmd_images() { # [PROFILE]: builds the images of the Fabric, the Scaler and the example, offline; PROFILE is dist
  need_rust
  command -v docker >/dev/null || die "the client of Docker is missing: on Debian, apt-get install docker.io"
  if limited docker version >/dev/null 2>&1; then
    say "building images with the engine that is here"
    compile_images "${1:-dist}"
    build_images
    return
  fi
  need_docker || die "images are made by a Docker Engine"
  say "building images with an engine of our own, since none answers: they are saved to target/images"
  compile_images "${1:-dist}"
  with_engine save_images
  [ -e target/images/perper-fabric.tar ] || die "images are made by a Docker Engine"
  say "docker load --input target/images/perper-fabric.tar   (and so on) brings them into another engine"
}

save_images() {
  local name
  build_images
  for name in "${image_list[@]}"; do
    name=${name%%:*}
    limited docker save --output "target/images/perper-$name.tar" "perper-$name:$(image_version)"
  done
}

# All of the workspace, so that nothing is compiled once more for having other features.
docker_tests=(cargo test --workspace --exclude perper-conformance --test images --test compose --test engine)

cmd_docker() { # [TEST…]: tests the images (unoptimised, or of PERPER_IMAGE_PROFILE) and the Scaler with a Docker Engine
  need_rust
  say "images and containers"
  need_docker || return 0
  compile_images "${PERPER_IMAGE_PROFILE:-dev}"
  # Where the engine is, nothing can be fetched.
  "${docker_tests[@]}" --quiet --no-run
  with_engine test_images "$@"
}

test_images() {
  build_images
  "${docker_tests[@]}" --offline -- --ignored --nocapture "$@"
}
