#!/usr/bin/env bash
# Trains a config in N processes, one per GPU or, without CUDA, on the CPUs:
#   tools/dist_train.sh CONFIG N [ARGUMENTS of tools/train.py]
# Several machines: NNODES, NODE_RANK, MASTER_ADDR and PORT in the environment. A job that
# begins again by itself: MAX_RESTARTS and, with machines that come and go, RDZV_ENDPOINT.
set -euo pipefail

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ $# -lt 2 ]; then
  echo "usage: dist_train.sh CONFIG N [ARGUMENTS]" >&2
  exit 2
fi
exec bash "$tools/misc/dist_run.sh" "$tools/train.py" "$2" "$1" "${@:3}"
