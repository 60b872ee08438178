# shellcheck shell=bash
# The .NET package. Part of `./dev`, which reads this.

# What compiles C# here: `sdk`, `lite` (PERPER_DOTNET_LITE names a stand-in for the SDK), or nothing.
dotnet_kind() {
  if command -v dotnet >/dev/null && dotnet --list-sdks 2>/dev/null | grep -q .; then echo sdk
  elif [ -n "${PERPER_DOTNET_LITE:-}" ]; then echo lite
  fi
}

need_dotnet() {
  [ -z "$(dotnet_kind)" ] || return 0
  skipped ".NET is not compiled, because there is no dotnet SDK on the PATH, and PERPER_DOTNET_LITE names no stand-in for it"
  return 1
}

# Compiles a folder with the stand-in; a warning is an error, as in the project files.
dotnet_lite_build() {
  local said
  said=$("$PERPER_DOTNET_LITE" build "$@" 2>&1) || { printf '%s\n' "$said" >&2; return 1; }
  [ -z "$said" ] || { printf '%s\n' "$said" >&2; return 1; }
}

# The library and everything that runs over it, in target/dotnet.
build_dotnet() {
  cargo build --quiet --package perper-uniffi --package perper-uniffi-csharp
  if [ "$(dotnet_kind)" = sdk ]; then
    dotnet build --nologo --verbosity quiet --configuration Release dotnet/conformance --output target/dotnet
  else
    dotnet_lite_build dotnet/src/Perper -o target/dotnet/Perper.dll
    dotnet_lite_build dotnet/conformance -r target/dotnet/Perper.dll -o target/dotnet/Perper.Conformance.dll --exe
  fi
}

# [--check]: the C# side of the native library, and of the one that the generator is tested with.
dotnet_generate() {
  target/debug/perper-uniffi-csharp "$@" "target/debug/libperper_uniffi.$extension" Perper.Protocol.Generated dotnet/src/Perper/Protocol/Generated
  target/debug/perper-uniffi-csharp "$@" "target/debug/libperper_uniffi_fixture.$extension" Perper.Tests.Fixture dotnet/tests/Perper.Tests/Fixture
}

cmd_dotnet() { # [generate|pack|bench]: the .NET package: generated code, build, tests; or what is said
  need_rust
  local extension=so
  [ "$(uname)" != Darwin ] || extension=dylib
  # Measured is a release build.
  if [ "${1:-test}" = bench ]; then
    shift
    dotnet_bench "$@"
    return
  fi
  cargo build --quiet --package perper-uniffi --package perper-uniffi-csharp --package perper-uniffi-fixture --package perper-fabric
  export LD_LIBRARY_PATH="$PWD/target/debug${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  local sample samples='Greeter Caller Basic WordCount'
  case ${1:-test} in
    generate)
      dotnet_generate
      return ;;
    pack)
      [ "$(dotnet_kind)" = sdk ] || die "packing needs the .NET SDK"
      cargo build --quiet --profile dist --package perper-uniffi
      local native
      native=target/dotnet-native/$(dotnet --info | sed -n 's/^ *RID: *//p')
      mkdir -p "$native" && cp target/dist/libperper_uniffi.* "$native/"
      dotnet pack --nologo --configuration Release -p:PerperNative="$PWD/target/dotnet-native" dotnet/src/Perper --output target/package
      return ;;
    test) ;;
    *) die "there is no ./dev dotnet $1" ;;
  esac
  say "the generated C# is what the native library exports"
  dotnet_generate --check
  case $(dotnet_kind) in
    sdk)
      say ".NET: build and tests"
      dotnet test --nologo --configuration Release dotnet/tests/Perper.Tests
      for sample in $samples; do
        dotnet build --nologo --configuration Release "dotnet/samples/$sample" --output target/dotnet
      done
      dotnet_samples
      cmd_dotnet pack ;;
    lite)
      say ".NET, compiled by a stand-in for the SDK: build and tests"
      build_dotnet
      for sample in $samples; do
        dotnet_lite_build "dotnet/samples/$sample" -r target/dotnet/Perper.dll -o "target/dotnet/$sample.dll" --exe
      done
      dotnet_lite_build dotnet/tests/Perper.Tests.Worker -r target/dotnet/Perper.dll -o target/dotnet/Perper.Tests.Worker.dll --exe
      "$PERPER_DOTNET_LITE" test dotnet/tests/Perper.Tests -r target/dotnet/Perper.dll -r target/dotnet/Perper.Tests.Worker.dll
      dotnet_samples
      skipped "dotnet pack, because it needs the .NET SDK" ;;
    *)
      need_dotnet || skipped "the tests of .NET, for the reason above" ;;
  esac
}

# The samples over a Fabric: they print what documents say.
dotnet_samples() {
  local folder greeter printed counted
  folder=$(mktemp -d)
  start_fabric target/debug/perper-fabric "$folder"
  say "the tutorial's two programs"
  dotnet_run Greeter >"$folder/greeter" 2>&1 &
  greeter=$!
  printed=$(dotnet_run Caller) || true
  # SIGTERM drains: the process ends by itself, and well.
  kill -TERM "$greeter"
  wait "$greeter" || { cat "$folder/greeter" >&2; kill "$fabric_pid"; die "the greeter did not stop orderly"; }
  [ "$printed" = "Hello, World!
Hello, stream!" ] || { cat "$folder/greeter" >&2; kill "$fabric_pid"; die "the tutorial's program printed: $printed"; }
  say "the samples Basic and WordCount"
  printed=$(dotnet_run Basic) || true
  counted=$(dotnet_run WordCount LICENSE README.md) || true
  kill "$fabric_pid"
  unset PERPER_FABRIC_ENDPOINT
  [ "$printed" = "2 + 3 = 5
17 / 5 = 3, remainder 2
1 / 0: 1 cannot be divided by zero
found stream and nothing
ticked [0, 1, 2], the state says 3
25 numbers in batches sum up to 300
ping [0, 2, 4, 6], pong [1, 3, 5]" ] || die "the sample Basic printed: $printed"
  [ "$counted" = "$(cat LICENSE README.md | tr -cs '[:alpha:]' '\n' | tr '[:upper:]' '[:lower:]' | LC_ALL=C sort | uniq -c |
    LC_ALL=C sort -k1,1nr -k2 | sed '/^ *[0-9]* $/d' | head -20)" ] || die "the sample WordCount printed: $counted"
  rm -rf "$folder"
}

# NAME [ARGUMENTS…]: becomes a program of target/dotnet.
dotnet_run() {
  local program=target/dotnet/$1.dll
  shift
  if [ "$(dotnet_kind)" = sdk ]; then exec timeout 900 dotnet "$program" "$@"; fi
  exec timeout 900 "$PERPER_DOTNET_LITE" run "$program" "$@"
}

# [--seconds N] [--rounds N] [--only calls,items,values]: .NET beside Rust, in one run. Measure on a machine that does
# nothing else.
dotnet_bench() {
  need_dotnet || return 0
  cargo build --quiet --release --package perper-uniffi --package perper-fabric --package perper-bench
  export LD_LIBRARY_PATH="$PWD/target/release"
  if [ "$(dotnet_kind)" = sdk ]; then
    dotnet build --nologo --verbosity quiet --configuration Release dotnet/bench --output target/dotnet
  else
    dotnet_lite_build dotnet/src/Perper -o target/dotnet/Perper.dll
    dotnet_lite_build dotnet/bench -r target/dotnet/Perper.dll -o target/dotnet/Perper.Bench.dll --exe
  fi
  (dotnet_run Perper.Bench "$@")
}
