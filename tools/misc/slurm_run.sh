#!/usr/bin/env bash
# Runs a tool on GPUs of a Slurm cluster: slurm_run.sh TOOL PARTITION JOB_NAME ARGUMENTS...
#
# In the environment: GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5) and SRUN_ARGS.
set -euo pipefail

tool=$1
partition=$2
job=$3
shift 3
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-8}
per_node=$((gpus < per_node ? gpus : per_node))

# SRUN_ARGS is a list of words.
# shellcheck disable=SC2086
exec srun --partition="$partition" --job-name="$job" \
  --ntasks="$gpus" --ntasks-per-node="$per_node" --gres="gpu:$per_node" \
  --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
  "${PYTHON:-python}" -u "$tool" "$@" --launcher slurm
