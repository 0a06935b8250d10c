#!/usr/bin/env bash
# Runs a tool on a Slurm cluster: slurm_run.sh TOOL PARTITION JOB_NAME ARGUMENTS...
#
# In the environment: GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5), SRUN_ARGS, and GRES,
# which is gpu:N for the GPUs of a node. An empty GRES is for nodes without GPUs.
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
cpus=${CPUS_PER_TASK:-5}
gres=${GRES-gpu:$per_node}
if [ -z "$gres" ]; then
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$cpus}
fi

# Without --wait srun waits for ever for the tasks of a slurmstepd that was killed.
# SRUN_ARGS is a list of words.
# shellcheck disable=SC2086
exec srun --partition="$partition" --job-name="$job" \
  --ntasks="$gpus" --ntasks-per-node="$per_node" ${gres:+--gres="$gres"} \
  --cpus-per-task="$cpus" --kill-on-bad-exit=1 --wait=300 ${SRUN_ARGS:-} \
  "${PYTHON:-python}" -u "$tool" "$@" --launcher slurm
