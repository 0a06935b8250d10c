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
# --detection adds MMDetection and compiles the operators of mmcv: about 10 minutes more.
# It is not usable yet: with pycocotools there, MMPretrain 1.3.6 loads its multimodal models,
# and those fail on transformers 5. Nothing else in the package needs it so far.
# $PYTHON names the interpreter, by default python3.11 or python3. No root is needed.
set -euo pipefail
exec 3>&1 1>&2

fail() { echo "error: $1"; exit 1; }

detection=
case "$*" in
  "") ;;
  --detection) detection=detection ;;
  *) fail "setup_env.sh takes --detection or nothing, but got '$*'" ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$(command -v python3.11 || command -v python3 || true)}
[ -n "$python" ] || fail "no python3 on the PATH; install Python 3.11"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
  fail "PYTHON='$python' does not run"
[ "$version" = 3.11 ] || fail "Python 3.11 is needed, but '$python' is $version; set PYTHON"
"$python" -m pip --version >/dev/null || fail "'$python' has no pip; install python3-pip"

hash_of() { cat "$@" | "$python" -c \
  'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:12])'; }

cache=${MMRESIZER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mmresizer}
mkdir -p "$cache" || fail "cannot write to $cache; set MMRESIZER_CACHE to another folder"
key=$(cd "$root" && hash_of tools/setup_env.sh requirements.txt requirements/*.txt)
packages=$cache/packages-$version-$key${detection:+-$detection}
mine=$(echo "$root" "$packages" | hash_of - "$root/pyproject.toml")
env=$cache/checkout-$mine

# One at a time: a second call waits for the first and then finds its work done.
if command -v flock >/dev/null; then
  exec 9>"$cache/lock"
  flock 9
fi

pip_install() { # ENV ARGUMENTS...
  "$python" -m pip --python "$1/bin/python" --disable-pip-version-check install "${@:2}"
}

if [ ! -e "$packages/complete" ]; then
  echo "Installing the packages into $packages"
  rm -rf "$packages"
  "$python" -m venv --without-pip "$packages"
  pip_install "$packages" --constraint "$root/requirements/lock.txt" \
    pip setuptools wheel --requirement "$root/requirements.txt"
  if [ -n "$detection" ]; then
    echo "Compiling the operators of mmcv, about 10 minutes on 2 cores"
    mmcv=$(grep '^onedl-mmcv==' "$root/requirements/lock.txt")
    # pip's cache may hold a wheel of the same name without operators.
    MMCV_WITH_OPS=1 MAX_JOBS=$(getconf _NPROCESSORS_ONLN) pip_install "$packages" \
      --verbose --no-build-isolation --no-cache-dir --force-reinstall --no-deps "$mmcv"
    pip_install "$packages" --constraint "$root/requirements/lock.txt" \
      --requirement "$root/requirements/detection.txt"
  fi
  # mmcv asks for the OpenCV that needs a desktop's libGL; the headless one is the same
  # module without windows. Both own the folder cv2, so that it has to be written anew.
  opencv=$("$packages/bin/python" -c \
    'from importlib.metadata import version; print(version("opencv-python"))')
  "$python" -m pip --python "$packages/bin/python" uninstall --yes opencv-python
  pip_install "$packages" --no-deps --force-reinstall "opencv-python-headless==$opencv"
  touch "$packages/complete"
fi

if [ ! -e "$env/complete" ]; then
  echo "Installing $root into $env"
  rm -rf "$env"
  "$python" -m venv --without-pip "$env"
  site=lib/python$version/site-packages
  echo "import site; site.addsitedir('$packages/$site')" >"$env/$site/packages.pth"
  pip_install "$env" --quiet --no-deps --no-build-isolation --editable "$root"
  touch "$env/complete"
fi

echo "$env" >&3
