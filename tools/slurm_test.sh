#!/usr/bin/env bash
# Evaluates a config on GPUs of a Slurm cluster:
#   tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [ARGUMENTS of tools/test.py]
# GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5) and SRUN_ARGS in the environment.
set -euo pipefail

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ $# -lt 4 ]; then
  echo "usage: slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [ARGUMENTS]" >&2
  exit 2
fi
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-8}
per_node=$((gpus < per_node ? gpus : per_node))
export PYTHONPATH=$(dirname "$tools")${PYTHONPATH:+:$PYTHONPATH}

# SRUN_ARGS is a list of words.
# shellcheck disable=SC2086
exec srun --partition="$1" --job-name="$2" \
  --ntasks="$gpus" --ntasks-per-node="$per_node" --gres="gpu:$per_node" \
  --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
  "${PYTHON:-python}" -u "$tools/test.py" "$3" "$4" "${@:5}" --launcher slurm
