#!/usr/bin/env bash
# Runs a tool in N processes on this machine: dist_run.sh TOOL N ARGUMENTS...
#
# With CUDA each process has a GPU (NCCL); without, the processes share the CPUs (gloo).
# Several machines: the same command on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT.
# If they may come and go: with NNODES=MIN:MAX and RDZV_ENDPOINT=HOST:PORT, one of them.
# MAX_RESTARTS: how often a job begins again by itself when one of its processes dies.
set -euo pipefail

tool=$1
processes=$2
shift 2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${PYTHON:-python}
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}

checked=$("$python" -c "
import os, sys
from mmresizer.engine import check_job, check_num_processes, is_hidden_endpoint
from mmresizer.utils import exit_on_input_error
with exit_on_input_error():
    check_num_processes(sys.argv[1])
    check_job(os.environ)
    endpoint = os.environ.get('RDZV_ENDPOINT')
    print(bool(endpoint) and is_hidden_endpoint(endpoint))
" "$processes")

# By default torchrun gives each process one thread, whatever the number of cores.
threads=$(($(getconf _NPROCESSORS_ONLN) / processes))
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((threads > 0 ? threads : 1))}

nodes=${NNODES:-1}
# Said first: torchrun waits for a wrong address without a word.
waits="waits for the others at"
if [ -n "${RDZV_ENDPOINT:-}" ]; then
  export MMRESIZER_MIN_NODES=${nodes%%:*}
  echo "a node of $nodes: $waits $RDZV_ENDPOINT" >&2
  rendezvous=(
    --nnodes="$nodes"
    --rdzv_backend=c10d
    --rdzv_endpoint="$RDZV_ENDPOINT"
    --rdzv_id="${RDZV_ID:-mmresizer}"
  )
  if [ "${checked##*$'\n'}" = True ]; then
    rendezvous+=(--rdzv_conf="is_host=1${PET_RDZV_CONF:+,$PET_RDZV_CONF}")
  fi
elif [ "$nodes" = 1 ] && [ -z "${PORT:-}" ]; then
  rendezvous=(--standalone) # any free port: several jobs may run on one machine
else
  rendezvous=(
    --nnodes="$nodes"
    --node_rank="${NODE_RANK:-0}"
    --master_addr="${MASTER_ADDR:-127.0.0.1}"
    --master_port="${PORT:-29500}"
  )
  if [ "$nodes" != 1 ]; then
    echo "node ${NODE_RANK:-0} of $nodes: $waits ${MASTER_ADDR:-127.0.0.1}:${PORT:-29500}" >&2
  fi
fi
# A job that begins again would find the addresses of its dead processes in torchrun's store.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=${TORCH_DISABLE_SHARE_RDZV_TCP_STORE:-1}
exec "$python" -m torch.distributed.run "${rendezvous[@]}" \
  --nproc_per_node="$processes" --max_restarts="${MAX_RESTARTS:-0}" \
  --signals_to_handle=SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1 \
  "$tool" "$@" --launcher pytorch
