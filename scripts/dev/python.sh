# shellcheck shell=bash
# The Python package. Part of `./dev`, which reads this.

# A virtual environment with the tools of `python/requirements.txt`. Says why, and fails, where there can be none.
python_venv=target/python-venv
need_python() {
  if ! python3 -c 'import sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    skipped "the Python package needs python3, 3.10 or later, with venv, which is not here"
    return 1
  fi
  [ -x "$python_venv/bin/python" ] || python3 -m venv "$python_venv"
  if ! cmp -s python/requirements.txt "$python_venv/requirements.txt"; then
    say "installing the tools of the Python package"
    "$python_venv/bin/pip" install --quiet --disable-pip-version-check --requirement python/requirements.txt ||
      { skipped "the Python package needs the tools in python/requirements.txt, which pip could not install"; return 1; }
    cp python/requirements.txt "$python_venv/requirements.txt"
  fi
}

# Unoptimised, and in the workspace's target folder: what other commands have built is not built again.
build_python() {
  need_rust
  say "building the Python package"
  (cd python && VIRTUAL_ENV="$PWD/../$python_venv" "../$python_venv/bin/maturin" develop --quiet)
}

cmd_python() { # [PYTEST ARGUMENTS…]: builds, lints and tests the Python package
  need_python || return 0
  build_python
  local bin=$PWD/$python_venv/bin
  say "lints of the Python package"
  (cd python && "$bin/ruff" check . ../examples/python && "$bin/ruff" format --check . ../examples/python)
  (cd python && "$bin/mypy" src && "$bin/python" -m mypy.stubtest perper._native)
  # The tokenizer in Rust takes part in the wordcount of the examples.
  cargo build --quiet --package perper-examples
  say "tests of the Python package"
  (cd python && "$bin/python" -m pytest -p no:randomly "$@")
  if [ $# -eq 0 ]; then
    cmd_python-wheel
    say "the same in random order, with a short soak"
    (cd python && PERPER_SOAK=2000 "$bin/python" -m pytest)
  fi
}

cmd_python-wheel() { # [--release]: builds the wheel and goes through the tutorial with nothing else installed
  need_rust
  need_python || return 0
  local wheels=$PWD/target/wheel-alone
  say "building the wheel${1:+ with $1}"
  rm -rf "$wheels"
  (cd python && "../$python_venv/bin/maturin" build --quiet "$@" --out "$wheels")
  say "the tutorial, in a fresh environment with nothing but the wheel"
  "$python_venv/bin/python" scripts/check-python-wheel "$wheels"/*.whl
}

cmd_bench-python() { # [--seconds N]: measures the Python package beside Rust
  need_rust
  need_python || return 0
  cargo build --quiet --release --package perper-fabric --package perper-bench
  local venv=target/python-bench wheels=target/wheels
  say "building the wheel"
  rm -rf "$wheels"
  (cd python && "../$python_venv/bin/maturin" build --quiet --release --out "../$wheels")
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall "$wheels"/*.whl
  "$venv/bin/python" python/bench/measure.py --wheel "$wheels"/*.whl "$@"
}
