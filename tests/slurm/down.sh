#!/bin/bash
# Stop what up.sh started, by process id, and remove its configuration. --keep-logs leaves $SLURM_TEST_DIR.
set -uo pipefail
export PATH=$PATH:/usr/sbin:/sbin
DIR=${SLURM_TEST_DIR:-/tmp/slurm-test}
MARK="# written by up.sh"
left=0

if [ -s "$DIR/slurmctld.pid" ] && kill -0 "$(cat "$DIR/slurmctld.pid")" 2>/dev/null; then
    timeout 20 scancel --user=root 2>/dev/null
    for _ in $(seq 75); do [ -z "$(timeout 5 squeue -h 2>/dev/null)" ] && break; sleep 0.2; done
fi
for name in slurmd slurmctld slurmdbd mariadbd munged; do
    file=$DIR/$name.pid
    [ -s "$file" ] || continue
    pid=$(cat "$file")
    # The pid may be another process's by now.
    grep -q "$name" "/proc/$pid/comm" 2>/dev/null || continue
    kill "$pid"
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -0 "$pid" 2>/dev/null && { echo "down.sh: $name ($pid) does not end; killed" >&2; kill -9 "$pid"; left=1; }
done
for file in slurm.conf gres.conf slurmdbd.conf; do
    grep -q "^$MARK" /etc/slurm/$file 2>/dev/null && rm -f /etc/slurm/$file
done
[ "${1:-}" = --keep-logs ] || rm -rf "$DIR"
echo "down.sh: down in $SECONDS s"
exit $left
