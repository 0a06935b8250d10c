#!/usr/bin/env bash
# Evaluates a config in N processes, one per GPU or, without CUDA, on the CPUs:
#   tools/dist_test.sh CONFIG CHECKPOINT N [ARGUMENTS of tools/test.py]
# Several machines: NNODES, NODE_RANK, MASTER_ADDR and PORT in the environment.
set -euo pipefail

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ $# -lt 3 ]; then
  echo "usage: dist_test.sh CONFIG CHECKPOINT N [ARGUMENTS]" >&2
  exit 2
fi
exec bash "$tools/misc/dist_run.sh" "$tools/test.py" "$3" "$1" "$2" "${@:4}"
