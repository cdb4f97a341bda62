#!/bin/bash
# Start a SLURM of one node on loopback, of Debian's packages, as root, for the tests: partitions gpu and cpu, made-up
# GPUs and shards, and a partition `urgent` that takes the node from the jobs of the others.
#
#   up.sh [--accounting]     --accounting: slurmdbd on MariaDB as well, so that sacct answers, as on most clusters
#
# SLURM_TEST_CPUS: how many CPUs the node claims to have (default: all). down.sh stops it all, by process id. Daemons,
# logs and state are in $SLURM_TEST_DIR (/tmp/slurm-test). Outside are only /etc/slurm/*.conf, /run/munge and the
# packages. It has to be /etc/slurm/slurm.conf: SLURM_CONF does not reach srun inside of a job.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin DEBIAN_FRONTEND=noninteractive

DIR=${SLURM_TEST_DIR:-/tmp/slurm-test}
MARK="# written by up.sh"
ACCOUNTING=no
[ "${1:-}" = --accounting ] && ACCOUNTING=yes
PACKAGES="slurmctld slurmd slurm-client munge"
[ $ACCOUNTING = yes ] && PACKAGES="$PACKAGES slurmdbd mariadb-server"

say() { echo "up.sh: $*"; }
fail() { echo "up.sh: $*" >&2; exit 1; }
wait_for() {  # seconds, what, command...
    local limit=$1 what=$2; shift 2
    for _ in $(seq $((limit * 5))); do "$@" >/dev/null 2>&1 && return 0; sleep 0.2; done
    fail "$what did not come up within $limit s; logs: $DIR/log"
}

[ "$(id -u)" = 0 ] || fail "run it as root"
for file in slurm.conf gres.conf slurmdbd.conf; do
    if [ -e /etc/slurm/$file ] && ! grep -q "^$MARK" /etc/slurm/$file; then
        fail "/etc/slurm/$file is not mine; not touched"
    fi
done
for pidfile in "$DIR"/*.pid; do
    [ -e "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null && fail "$(basename "$pidfile" .pid) runs already; down.sh first"
done

# Packages: the daemons are not started by their installation (policy-rc.d), and started below if they were.
if ! dpkg-query -W -f='${db:Status-Status} ' $PACKAGES 2>/dev/null | grep -qvE '^(installed )+$' && dpkg-query -W $PACKAGES >/dev/null 2>&1; then
    say "packages are there"
else
    apt-get update -q >/dev/null
    apt-get install -y -q --no-install-recommends $PACKAGES >"$DIR.apt.log" 2>&1 || fail "apt-get failed: $DIR.apt.log"
fi

rm -rf "$DIR"
mkdir -p "$DIR"/{log,state,spool} /etc/slurm /run/munge
chmod 755 "$DIR"
HOST=$(hostname -s)
CPUS=${SLURM_TEST_CPUS:-$(nproc)}          # may be more than there are: jobs then share them
GPUS=2
MEMORY=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)

# Fake GPUs: any file will do, SLURM only looks whether it is there.
for i in $(seq 0 $((GPUS - 1))); do touch "$DIR/fakegpu$i"; done
cat >/etc/slurm/gres.conf <<END
$MARK
NodeName=$HOST Name=gpu Type=made_up File=$DIR/fakegpu[0-$((GPUS - 1))]
NodeName=$HOST Name=shard Count=$((4 * GPUS))
END

cat >/etc/slurm/slurm.conf <<END
$MARK
ClusterName=test
SlurmctldHost=$HOST(127.0.0.1)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
AuthType=auth/munge
SlurmctldPidFile=$DIR/slurmctld.pid
SlurmdPidFile=$DIR/slurmd.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd.log
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool
SlurmdParameters=config_overrides
ReturnToService=2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu,shard
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=2,batch_sched_delay=0
# A job above its --mem is killed, as a cgroup would: looked at every 2 s.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
MinJobAge=300
KillWait=10
InactiveLimit=0
SlurmctldTimeout=30
SlurmdTimeout=60
MpiDefault=none
AccountingStorageType=accounting_storage/$([ $ACCOUNTING = yes ] && echo slurmdbd || echo none)
$([ $ACCOUNTING = yes ] && printf 'AccountingStorageHost=127.0.0.1\nAccountingStoragePort=6819\nAccountingStorageTRES=gres/gpu')
NodeName=$HOST NodeAddr=127.0.0.1 CPUs=$CPUS RealMemory=$MEMORY Gres=gpu:made_up:$GPUS,shard:$((4 * GPUS)) State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
PartitionName=cpu Nodes=$HOST Default=YES State=UP PriorityTier=1
PartitionName=gpu Nodes=$HOST State=UP PriorityTier=1
PartitionName=urgent Nodes=$HOST State=UP PriorityTier=9
END

chown munge: /run/munge
[ -e /etc/munge/munge.key ] || { /usr/sbin/mungekey --create; chown munge: /etc/munge/munge.key; }
if ! munge -n </dev/null >/dev/null 2>&1; then
    setpriv --reuid munge --regid munge --clear-groups munged --pid-file=/run/munge/munged.pid 2>"$DIR/log/munged.log"
    wait_for 10 munged test -s /run/munge/munged.pid
    cp /run/munge/munged.pid "$DIR/munged.pid"
fi
wait_for 10 munged munge -n

if [ $ACCOUNTING = yes ]; then
    mkdir -p "$DIR/mysql" /run/mysqld
    chown mysql: "$DIR/mysql" /run/mysqld
    mariadb-install-db --user=mysql --datadir="$DIR/mysql" --skip-test-db >"$DIR/log/mariadb-install.log" 2>&1
    setsid mariadbd --no-defaults --user=mysql --datadir="$DIR/mysql" --socket="$DIR/mysql/sock" --pid-file="$DIR/mysql/pid" \
        --bind-address=127.0.0.1 --port=3399 --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 \
        >"$DIR/log/mariadb.log" 2>&1 </dev/null &
    echo $! >"$DIR/mariadbd.pid"
    wait_for 30 mariadbd mariadb --no-defaults -S "$DIR/mysql/sock" -e 'select 1'
    mariadb --no-defaults -S "$DIR/mysql/sock" -e "create database slurm_acct_db; create user slurm@'127.0.0.1' identified by 'slurm'; grant all on slurm_acct_db.* to slurm@'127.0.0.1'"
    cat >/etc/slurm/slurmdbd.conf <<END
$MARK
CommunicationParameters=NoInAddrAny
DbdHost=localhost
DbdAddr=127.0.0.1
SlurmUser=root
PidFile=$DIR/slurmdbd.pid
LogFile=$DIR/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=3399
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
END
    chmod 600 /etc/slurm/slurmdbd.conf
    slurmdbd
    wait_for 30 slurmdbd sacctmgr -n show cluster
    sacctmgr -i add cluster test >/dev/null || true
    sacctmgr -i add account bench >/dev/null
    sacctmgr -i add user root account=bench >/dev/null
fi

slurmctld
wait_for 20 slurmctld scontrol ping
slurmd
wait_for 30 "the node" sh -c "sinfo -h -o %T | grep -qx -e idle -e mixed -e allocated"
srun -p gpu --gpus=1 -t 1 true || fail "srun does not work; logs: $DIR/log"
[ $ACCOUNTING = yes ] && wait_for 20 "sacct" sh -c "sacct -X -n -S now-1hour | grep -q ."
say "up in ${SECONDS} s: $(sinfo -h -o '%P %T %c CPUs %m MB %G;' | tr '\n' ' ') SLURM $(sinfo --version | cut -d' ' -f2), accounting: $ACCOUNTING"
