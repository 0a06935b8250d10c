#!/usr/bin/env bash
# Makes the Python environment of this checkout, or finds it, and prints its path.
#
#   env=$(bash tools/setup_env.sh [--detection]) && "$env/bin/python" tools/train.py ...
#
# Progress goes to stderr; stdout is the path alone. The packages (about 5 GB, two minutes)
# lie under $MMRESIZER_CACHE, by default ~/.cache/mmresizer, in a folder named by the hash of
# the requirement files: changed requirements are installed, the same ones never twice. Each
# checkout has a thin environment on top in which it is installed in editable mode.
#
# --detection adds MMDetection. The operators of mmcv that it needs are compiled once, about
# 10 minutes on 2 cores, into a wheel that is kept in the cache; a C++ compiler and Python's
# headers have to be there.
# $PYTHON names the interpreter, 3.11 or 3.12; by default python3.11, python3.12 or python3.
# No root is needed.
set -euo pipefail
exec 3>&1 1>&2

fail() { echo "error: $1"; exit 1; }

case "$*" in
  "" | --detection) wanted=$* ;;
  *) fail "setup_env.sh takes --detection or nothing, but got '$*'" ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$(command -v python3.11 || command -v python3.12 || command -v python3 || true)}
[ -n "$python" ] || fail "no python3 on the PATH; install Python 3.11"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
  fail "PYTHON='$python' does not run"
case "$version" in
  3.11 | 3.12) ;;
  *) fail "Python 3.11 or 3.12 is needed, but '$python' is $version; set PYTHON" ;;
esac
"$python" -m pip --version >/dev/null || fail "'$python' has no pip; install python3-pip"

if [ -n "$wanted" ]; then
  missing=
  command -v "${CXX:-c++}" >/dev/null || missing="a C++ compiler (g++, or \$CXX)"
  [ -n "$missing" ] || "$python" -c 'import os.path, sys, sysconfig
sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
    missing="the headers of '$python' (python$version-dev)"
  [ -z "$missing" ] || fail "to compile the operators of mmcv, $missing is needed"
fi

hash_of() { cat "$@" | "$python" -c \
  'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:12])'; }

cache=${MMRESIZER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mmresizer}
mkdir -p "$cache" || fail "cannot write to $cache; set MMRESIZER_CACHE to another folder"
key=$(cd "$root" && hash_of tools/setup_env.sh requirements.txt requirements/*.txt)
packages=$cache/packages-$version-$key
top=$packages${wanted:+-detection}
mine=$(echo "$root" "$top" | hash_of - "$root/pyproject.toml")
env=$cache/checkout-$mine

# One at a time: a second call waits for the first and then finds its work done.
if command -v flock >/dev/null; then
  exec 9>"$cache/lock"
  flock 9
fi

site=lib/python$version/site-packages
new_env() { # ENV [BELOW]: an empty environment that sees the packages of the one below
  rm -rf "$1"
  "$python" -m venv --without-pip "$1"
  [ -z "${2:-}" ] || echo "import site; site.addsitedir('$2/$site')" >"$1/$site/packages.pth"
}
pip_install() { # ENV ARGUMENTS...
  "$python" -m pip --python "$1/bin/python" --disable-pip-version-check install "${@:2}"
}

pin() { grep "^$1==" "$root/requirements/lock.txt"; }

if [ ! -e "$packages/complete" ]; then
  echo "Installing the packages into $packages"
  new_env "$packages"
  pip_install "$packages" --constraint "$root/requirements/lock.txt" \
    pip setuptools wheel --requirement "$root/requirements.txt"
  # mmcv asks for the OpenCV that needs a desktop's libGL; the headless one is the same
  # module without windows. Both own the folder cv2, so that it has to be written anew.
  opencv=$(pin opencv-python)
  "$python" -m pip --python "$packages/bin/python" uninstall --yes opencv-python
  pip_install "$packages" --no-deps --force-reinstall "${opencv/python/python-headless}"
  touch "$packages/complete"
fi

if [ -n "$wanted" ] && [ ! -e "$packages-detection/complete" ]; then
  mmcv=$(pin onedl-mmcv)
  wheels=$cache/wheels-$version-$mmcv-$(pin torch)-$(uname -m)
  if ! ls "$wheels"/*.whl >/dev/null 2>&1; then
    echo "Compiling the operators of mmcv into $wheels, about 10 minutes on 2 cores"
    rm -rf "$wheels.new"
    # Without ninja one file is compiled after the other. pip's cache may hold a wheel of the
    # same name without operators.
    pip_install "$packages" --constraint "$root/requirements/lock.txt" ninja
    PATH=$packages/bin:$PATH MMCV_WITH_OPS=1 MAX_JOBS=$(getconf _NPROCESSORS_ONLN) \
      "$python" -m pip --python "$packages/bin/python" --disable-pip-version-check wheel \
      --verbose --no-build-isolation --no-cache-dir --no-deps --wheel-dir "$wheels.new" "$mmcv"
    mv "$wheels.new" "$wheels"
  fi
  echo "Installing MMDetection into $packages-detection"
  new_env "$packages-detection" "$packages"
  pip_install "$packages-detection" --quiet --no-deps --force-reinstall "$wheels"/*.whl
  pip_install "$packages-detection" --constraint "$root/requirements/lock.txt" \
    --requirement "$root/requirements/detection.txt"
  # See above; without it, the headless one below is found.
  "$python" -m pip --python "$packages-detection/bin/python" uninstall --yes opencv-python
  touch "$packages-detection/complete"
fi

if [ ! -e "$env/complete" ]; then
  echo "Installing $root into $env"
  new_env "$env" "$top"
  pip_install "$env" --quiet --no-deps --no-build-isolation --editable "$root"
  touch "$env/complete"
fi

echo "$env" >&3
