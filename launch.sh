#!/usr/bin/env bash
# Runs `python -m gen.main` here, as a Slurm job or on a Cloud TPU slice, and again after a preemption.
# gen.main resumes from its --workdir by itself, so all that this script has to do is to give the same command again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
  cat <<'END'
usage: ./launch.sh [local|slurm|tpu] [options] -- --config FILE --workdir DIR [more flags of gen.main]

Paths are relative to the checkout. The same command again resumes the run.
  --dry-run          print the commands and run none of them
  --no-check         tpu: do not check config, data and workdir before a slice is paid for
  --help             this text

local (the default): run here, with $PYTHON, else .venv/bin/python, else python3.

slurm: submit one job, which is queued again when it is preempted, loses a node or a process or reaches its time limit.
  --time TIME        limit of one turn, in Slurm's notation (default 04:00:00)
  --nodes N          machines that train together, one process on each (default 1)
  --gpus N           GPUs on each node, 0 for none (default 1)
  --sweep            submit an array with one job for each run of the experiment's sweep()
  --sbatch OPTION    one more option for sbatch, e.g. --sbatch --partition=long; may be repeated

tpu: get a Cloud TPU slice as a queued resource, install gen on all its workers, run, begin anew when it is taken away.
  --name NAME        of the slice (default gen)
  --zone ZONE        e.g. us-east5-b (required)
  --type TYPE        accelerator, e.g. v6e-8 (required)
  --runtime VERSION  TPU software, e.g. v2-alpha-tpuv6e (required)
  --project PROJECT  (default: the one gcloud is set to)
  --spot             cheaper, may be taken away at any time
  --setup COMMAND    run on every worker before the job, e.g. to mount the storage that holds --workdir; required with
                     --spot, as the disks of a slice that is taken away are lost
  --fetch DIR        copy --workdir from worker 0 into DIR when the job has finished; if that fails, the slice stays
  --delete           delete the slice after that, with all that is on its disks
Before that, `gen.main --check` says whether the experiment could run there: in a copy of this folder, and with --setup
in the storage that it mounts.
Set LAUNCH_POLL_SECONDS (30) and LAUNCH_TRIES (3: failures in a row before giving up) in the environment; also
LAUNCH_REQUEUES (20): how many turns may follow because a process was lost or hung (exit code 75), on Slurm and TPU.
END
}

need() { # each command, or nothing is begun
  local tool
  for tool; do
    [[ $dry_run ]] || command -v "$tool" >/dev/null || die "$mode needs the command '$tool', which is not in PATH"
  done
}
say() { printf 'launch.sh: %s\n' "$*" >&2; }
die() { say "$1"; exit 2; }
quote() { # each argument, preceded by a space, as any POSIX shell reads it back
  local word
  for word; do
    if [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]]; then printf ' %s' "$word"; else printf " '%s'" "${word//\'/\'\\\'\'}"; fi
  done
}
run() { # the command, or in a dry run its text
  if [[ $dry_run ]]; then printf '$%s\n' "$(quote "$@")"; else "$@"; fi
}

dry_run='' check=1 time=04:00:00 nodes=1 gpus=1 sweep='' sbatch_options=()
answered='' name=gen zone='' type='' runtime='' project='' spot='' setup='' fetch='' delete=''
poll=${LAUNCH_POLL_SECONDS:-30} tries=${LAUNCH_TRIES:-3} requeues=${LAUNCH_REQUEUES:-20}

mode=local
case ${1-} in
  local | slurm | tpu) mode=$1 && shift ;;
  '') die 'nothing to run; see ./launch.sh --help' ;;
  -*) ;;
  *) die "no such place: '$1'; allowed: local, slurm, tpu" ;;
esac
while (($#)) && [[ $1 != -- ]]; do
  case $1 in # first --option=value becomes --option value, then the options without a value
    --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
  esac
  case "$mode $1" in
    *' --help' | *' -h') usage && exit 0 ;;
    *' --dry-run') dry_run=1 && shift && continue ;;
    'slurm --sweep') sweep=1 && shift && continue ;;
    'tpu --no-check') check='' && shift && continue ;;
    'tpu --spot') spot=1 && shift && continue ;;
    'tpu --delete') delete=1 && shift && continue ;;
  esac
  (($# > 1)) || die "unknown option or missing value: $mode '$1'; see ./launch.sh --help"
  case "$mode $1" in
    'slurm --time') time=$2 ;;
    'slurm --nodes') nodes=$2 ;;
    'slurm --gpus') gpus=$2 ;;
    'slurm --sbatch') sbatch_options+=("$2") ;;
    'tpu --name') name=$2 ;;
    'tpu --zone') zone=$2 ;;
    'tpu --type') type=$2 ;;
    'tpu --runtime') runtime=$2 ;;
    'tpu --project') project=$2 ;;
    'tpu --setup') setup=$2 ;;
    'tpu --fetch') fetch=$2 ;;
    *) die "unknown option for $mode: '$1'; flags of gen.main come after --; see ./launch.sh --help" ;;
  esac
  shift 2
done
(($# > 1)) || die "the flags of gen.main are missing: ./launch.sh $mode [options] -- --config FILE --workdir DIR"
shift
[[ $nodes =~ ^[1-9][0-9]*$ ]] || die "--nodes '$nodes': allowed: a whole number, 1 or more"
[[ $gpus =~ ^[0-9]+$ ]] || die "--gpus '$gpus': allowed: a whole number, 0 or more"
[[ $tries =~ ^[1-9][0-9]*$ ]] || die "LAUNCH_TRIES '$tries': allowed: a whole number, 1 or more"
[[ $requeues =~ ^[0-9]+$ ]] || die "LAUNCH_REQUEUES '$requeues': allowed: a whole number, 0 or more"
[[ $poll =~ ^[0-9]+(\.[0-9]+)?$ ]] || die "LAUNCH_POLL_SECONDS '$poll': allowed: a number, 0 or more"

workdir='' previous=''
for argument in "$@"; do
  case $argument in
    --workdir=*) workdir=${argument#*=} ;;
    --sweep | --sweep=*)
      [[ ! $sweep ]] || die "--sweep before -- runs the whole sweep, --sweep after it one run: leave one of them out"
      ;;
  esac
  if [[ $previous == --workdir ]]; then workdir=$argument; fi
  previous=$argument
done
[[ $workdir || $mode == local ]] || die "$mode needs --workdir DIR after --, to resume from"

python=${PYTHON:-python3}
if [[ -z ${PYTHON:-} && -x .venv/bin/python ]]; then python=$PWD/.venv/bin/python; fi
command=$(quote -m gen.main "$@") # for the shell that will read it, elsewhere

# ---- local --------------------------------------------------------------------------------------------------------
launch_local() {
  need "$python"
  run exec "$python" -m gen.main "$@"
}

# ---- Slurm --------------------------------------------------------------------------------------------------------
# Five minutes before the time limit, Slurm sends SIGTERM to the batch script alone (B:). It passes the signal on, waits
# until gen.main has saved, and queues the job again. So it does when a process of several was lost, a limited number of
# times. Any other failure is not queued again.
slurm_script() {
  local id="\$SLURM_JOB_ID" run=''
  if [[ $sweep ]]; then # of an array, SLURM_JOB_ID is the number of one task or of all: the pair is the task's
    id="\${SLURM_ARRAY_JOB_ID}_\$SLURM_ARRAY_TASK_ID" run=" --sweep=\"\$SLURM_ARRAY_TASK_ID\""
  fi
  cat <<END
#!/usr/bin/env bash
cd$(quote "$PWD") || exit
trap 'stopped=1; kill -TERM "\$job"' TERM
srun$(quote "$python")$command$run &
job=\$! stopped='' lost='' restarts=\${SLURM_RESTART_COUNT:-0}
wait "\$job"
code=\$?
while kill -0 "\$job" 2>/dev/null; do # the signal ends \`wait\` before the job ends
  wait "\$job"
  code=\$?
done
# srun exits with the highest code of all: a process that was killed (137) hides the 75 of the others.
if ((code == 75 || (code == 137 && \${SLURM_JOB_NUM_NODES:-1} > 1))); then lost=1; fi
if [[ \$stopped ]] || { [[ \$lost ]] && ((restarts < $requeues)); }; then exec scontrol requeue "$id"; fi
if [[ \$lost ]]; then echo "launch.sh: a process was lost, and the job has begun again \$restarts times: giving up" >&2; fi
exit "\$code"
END
}

launch_slurm() {
  need sbatch
  local options=(--job-name=gen "--time=$time" --signal=B:TERM@300 --requeue --open-mode=append "--nodes=$nodes"
    --ntasks-per-node=1)
  if ((gpus)); then options+=("--gpus-per-node=$gpus"); fi
  if [[ $sweep ]]; then
    local runs last=LAST # in a dry run nobody is asked
    need "$python"
    runs=$(run "$python" -m gen.main "$@" --sweep=print) || exit # wrong input: gen.main has said what
    if [[ $dry_run ]]; then printf '%s\n' "$runs"; else
      last=$(grep -c '^python -m gen\.main ' <<<"$runs") || die 'sweep() of the experiment has no runs'
      last=$((last - 1))
    fi
    options+=("--array=0-$last" "--output=$workdir/slurm-%A_%a.log")
  else
    options+=("--output=$workdir/slurm-%j.log")
  fi
  options+=(${sbatch_options[@]+"${sbatch_options[@]}"})
  run mkdir -p "$workdir"
  if [[ $dry_run ]]; then slurm_script; fi
  run sbatch "${options[@]}" < <(slurm_script)
}

# ---- Cloud TPU ----------------------------------------------------------------------------------------------------
tpus() {
  run gcloud compute tpus "$@" "--zone=$zone" ${project:+"--project=$project"} --quiet
}

# What gcloud says when no other try can help: who you are, what you may, what there is. Too many requests a minute are
# no reason to give up, nor is a zone that is full today.
hopeless='PERMISSION_DENIED|UNAUTHENTICATED|INVALID_ARGUMENT|SERVICE_DISABLED|HTTPError 40[013]|does not have (the )?permission'
hopeless+='|active account selected|gcloud auth login|refreshing your current auth tokens|property \[.*\] is not'
hopeless+='|[Qq]uota .*exceeded|exceeded .*quota|invalid choice|unrecognized arguments|Unknown zone|argument --'
hopeless+='|(zone|[Ll]ocation|[Aa]ccelerator ?[Tt]ype|[Rr]untime ?[Vv]ersion|[Pp]roject).*(not found|is not valid|was not found)'
hopeless+='|is not a valid (zone|location|project)'
passing='RATE_LIMIT|per minute|per second|no more capacity|UNAVAILABLE|DEADLINE_EXCEEDED'

ask() { # tpus; ends launch.sh when gcloud says what no other try can help
  local code=0
  if [[ $dry_run ]]; then tpus "$@" && return; fi
  tpus "$@" 2>"$scratch/error" || code=$?
  cat "$scratch/error" >&2
  if ((code)) && grep -qE "$hopeless" "$scratch/error" && ! grep -qE "$passing" "$scratch/error"; then
    say "gcloud refuses what another try cannot mend: $(grep -m 1 -E "$hopeless" "$scratch/error" | cut -c1-300)"
    exit 2
  fi
  return "$code"
}

create() {
  ask queued-resources create "$name" "--node-id=$name" "--accelerator-type=$type" "--runtime-version=$runtime" \
    ${spot:+--spot}
}

# ABSENT (nothing listed) is told from UNKNOWN (gcloud failed): after an error nothing may be created or deleted.
slice_state() {
  local state code=0
  state=$(ask queued-resources list "--filter=name~/$name\$" '--format=value(state.state)') || code=$?
  if ((code == 2)); then exit 2; fi # `ask` ended its own subshell alone
  if ((code)); then state=UNKNOWN; fi
  echo "${state:-ABSENT}"
}

ensure_active() {
  local state last='' refused=0 unknown=0
  while state=$(slice_state) || exit 2; [[ $state != ACTIVE ]]; do
    if [[ $state != "$last" ]]; then say "slice $name is $state"; fi
    last=$state
    case $state in
      UNKNOWN) # later, when a slice runs, any outage is waited out
        if [[ ! $answered ]] && ((++unknown >= tries)); then
          say "gcloud failed $unknown times in a row: giving up"
          exit 1
        fi
        ;;
      SUSPENDED | FAILED) tpus queued-resources delete "$name" --force || true ;; # it cannot be started again
      ABSENT)
        if create; then refused=0; elif ((++refused >= tries)); then
          say "slice $name was refused $refused times in a row: giving up"
          exit 1
        fi
        ;;
    esac
    if [[ $state != UNKNOWN ]]; then answered=1; fi
    sleep "$poll"
  done
  answered=1
}

check_first() { # whether the experiment could run there, while that costs nothing
  local place=copied
  if [[ $setup ]]; then place=mounted; fi
  if [[ $spot && ! $setup ]]; then
    die "--spot needs --setup, to mount the storage of --workdir: the disks of a slice that is taken away are lost (--no-check to go on)"
  fi
  "$python" -m gen.main "$@" "--check=$place" || {
    say "nothing was begun; --no-check leaves this check out"
    exit 2
  }
}

on_workers() {
  tpus tpu-vm ssh "$name" --worker=all "--command=$1" </dev/null
}

keeping_output() { # the command; what it prints is shown and kept, and its own exit code is returned, not that of `tee`
  if [[ $dry_run ]]; then "$@" && return; fi
  "$@" 2>&1 | tee -i "$scratch/output"
  return "${PIPESTATUS[0]}"
}

# A job left over from a dropped connection holds the lock: it is told to save and stop, then flock waits until it has.
attempt() {
  local archive=$scratch/gen.tar.gz python=.venv/bin/python prepare=''
  if [[ $setup ]]; then prepare="{ $setup; } && "; fi
  # tar exits with 1 when a file changed while it was read, which is no reason to stop.
  { run tar --exclude=./.git --exclude=./.venv --exclude=./runs --exclude='.*_cache' --exclude=__pycache__ \
    -czf "$archive" . || (($? == 1)); } &&
    tpus tpu-vm scp "$archive" "$name:gen.tar.gz" --worker=all &&
    on_workers "mkdir -p gen && tar -xzf gen.tar.gz -C gen && cd gen && python3 -m pip install --quiet --user uv && \
~/.local/bin/uv venv --quiet --allow-existing --python 3.12 .venv && \
~/.local/bin/uv pip install --quiet --python $python -c constraints/py312.txt -e '.[tpu]'" &&
    keeping_output on_workers "${prepare}cd gen && touch ../gen.lock && { fuser -s -k -TERM ../gen.lock || true; } && \
GEN_DISTRIBUTED=1 flock ../gen.lock $python$command"
}

# After a preemption the kernel of a TPU VM may keep its devices (/dev/vfio) busy for ever: only a new VM helps.
busy='vfio|[Dd]evice or resource busy|already in use'

fetch_run() { # into a folder of --fetch that has the name of --workdir
  local from=${workdir%/}
  if [[ $from != /* ]]; then from=gen/$from; fi # on_workers begins there
  tpus tpu-vm scp --recurse "$name:$from" "$fetch" --worker=0
}

launch_tpu() {
  local option code failures=0 lost=0 blocked=0 renewed=0
  for option in zone type runtime; do
    [[ ${!option} ]] || die "tpu needs --$option; see ./launch.sh --help"
  done
  [[ $name =~ ^[a-z][a-z0-9-]*$ ]] || die "--name '$name': allowed: small letters, digits and -, a letter first"
  if [[ $dry_run ]]; then
    scratch=/tmp
    if [[ $fetch ]]; then run mkdir -p "$fetch"; fi
    create
    attempt
    if [[ $fetch ]]; then fetch_run; fi
    if [[ $delete ]]; then tpus queued-resources delete "$name" --force; fi
    exit 0
  fi
  need gcloud ssh scp tar "$python"
  if [[ $check ]]; then check_first "$@"; fi
  if [[ $fetch ]]; then mkdir -p "$fetch" 2>/dev/null || die "--fetch '$fetch': this folder cannot be made"; fi
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  while :; do
    ensure_active
    : >"$scratch/output"
    if attempt; then break; else code=$?; fi
    if [[ $(slice_state) != ACTIVE || $code == 255 || $code == 143 ]]; then # 255: from ssh. 143: gen.main was told to stop
      failures=0 lost=0 blocked=0 renewed=0
      say "lost the slice $name or the connection to it: again"
    elif ((code == 2)); then
      say "wrong input, which another try cannot mend; the slice stays"
      exit 2
    elif grep -qE "$busy" "$scratch/output"; then # before 75: the other workers only miss the one that is blocked
      if ((++blocked < 2)); then
        say "a device of the slice $name is busy (exit code $code): again"
      elif [[ ! $setup && ! $spot ]]; then
        say "a device of the slice $name stays busy; it is not deleted, as --workdir is on its disks: copy it, delete it"
        exit "$code"
      elif ((++renewed > tries)); then
        say "a device is busy also on $tries new slices, last with exit code $code: giving up; the slice stays"
        exit "$code"
      else
        say "a device of the slice $name stays busy: the slice is deleted and created again"
        blocked=0
        tpus queued-resources delete "$name" --force || true
      fi
    elif ((code == 75)); then
      blocked=0
      if ((++lost > requeues)); then
        say "lost a process of the job $lost times on a sound slice: giving up; the slice stays"
        exit "$code"
      fi
      failures=0
      say "lost a process of the job, or a step hung: again"
    elif ((++failures >= tries)); then
      say "failed $failures times in a row on a sound slice, last with exit code $code: giving up; the slice stays"
      exit "$code"
    else
      blocked=0
      say "failed with exit code $code on a sound slice: again"
    fi
    sleep "$poll"
  done
  if [[ $fetch ]]; then
    fetch_run || {
      say "$workdir could not be copied to $fetch; the slice stays: the same command tries again"
      exit 1
    }
  fi
  if [[ $delete ]]; then tpus queued-resources delete "$name" --force; else say "finished; the slice $name stays"; fi
}

"launch_$mode" "$@"
