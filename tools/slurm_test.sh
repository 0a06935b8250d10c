#!/usr/bin/env bash
# Evaluates a config on a Slurm cluster:
#   tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [ARGUMENTS of tools/test.py]
# In the environment: GPUS (8), which are the processes, GPUS_PER_NODE (8), CPUS_PER_TASK (5)
# and SRUN_ARGS. `GRES=` is for nodes without GPUs, GRES=gpu:a100:4 for a kind of them.
set -euo pipefail

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ $# -lt 4 ]; then
  echo "usage: slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [ARGUMENTS]" >&2
  exit 2
fi
exec bash "$tools/misc/slurm_run.sh" "$tools/test.py" "$1" "$2" "${@:3}"
