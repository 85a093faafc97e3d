# shellcheck shell=bash
# Starting, finding and ending servers.
#
# A process is known by three things: its id, its start time in clock ticks since boot, and the boot. An id alone may have
# gone to somebody else's process since. `pid` holds the id alone (others read it), `pid.started` the other two.

# "START BOOT" of a living process; fails for one that has ended, also while nobody has reaped it yet.
process_mark() {
    local stat fields
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    # The name, in parentheses, may contain anything: cut to behind the last one. What follows starts with field 3.
    read -ra fields <<<"${stat##*) }"
    # Z is an ended process that nobody has reaped, but also a main thread that ended before the others did: while any of
    # those is left (fields[17] counts them), ports and files are still held.
    [[ ${fields[0]} != [ZX] ]] || ((fields[17] > 1)) || return 1
    printf '%s %s' "${fields[19]}" "$(</proc/sys/kernel/random/boot_id)"
}

same_process() { [[ $(process_mark "$1") == "$2" ]]; }

record_process() {
    local folder=$1 pid=$2
    process_mark "$pid" >"$folder/pid.started"
    say "$pid" >"$folder/pid.new"
    mv "$folder/pid.new" "$folder/pid"
}

recorded_alive() {
    local folder=$1
    [[ -s $folder/pid && -s $folder/pid.started ]] && same_process "$(<"$folder/pid")" "$(<"$folder/pid.started")"
}

alive() { recorded_alive "$(service_dir "$1")"; }

all_alive() {
    local service
    for service; do alive "$service" || return 1; done
}

# Runs a command on its own, away from this shell: own session, no terminal, no descriptor of the caller (a caller that
# captures our output would wait for the last holder of the pipe, and locks would never be released). It records itself
# before it becomes the server, so there is no moment in which it runs unrecorded.
detach() {
    local folder=$1 log=$2
    shift 2
    (
        cd "$folder" || exit
        record_process "$folder" "$BASHPID"
        for fd in "/proc/$BASHPID/fd"/*; do
            fd=${fd##*/}
            ((fd <= 2)) || eval "exec $fd>&-"
        done
        exec setsid "$@"
    ) </dev/null >>"$log" 2>&1 &
}

# ---- up ---------------------------------------------------------------------------------------------------------------------

bring_up() {
    local service=$1 folder began how=up
    folder=$(service_dir "$service")
    began=$(now_ms)
    make_folder "$folder"
    : >"$folder/wanted"
    ! declare -F "${service}_adopt" >/dev/null || "${service}_adopt" || true
    if alive "$service"; then
        how='was up'
    else
        rm -f "$folder/pid" "$folder/pid.started"
        check_ports "$service"
        rotate_log "$folder/log"
        "${service}_configure" || fail "$service" "could not be set up"
        "${service}_launch"
    fi
    wait_ready "$service" "$began"
    ! declare -F "${service}_after_start" >/dev/null || "${service}_after_start" || fail "$service" "could not be set up"
    printf '%-14s %-7s %5s s   %s\n' "$service" "$how" "$(seconds_since "$began")" "$("${service}_address")"
}

seconds_since() {
    local ms=$(($(now_ms) - $1))
    printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}

wait_ready() {
    local service=$1 limit=180 folder end
    folder=$(service_dir "$service")
    end=$(($(now_ms) + limit * 1000))
    # Whether somebody listens is asked first, since it costs least: the machine is busy enough with the servers' start.
    until [[ -e $folder/pid ]] && listening "$(port "$service")" && "${service}_ready"; do
        if [[ -e $folder/pid ]] && ! alive "$service" && ! { declare -F "${service}_adopt" >/dev/null && "${service}_adopt"; }; then
            fail "$service" "ended while starting"
        fi
        (($(now_ms) < end)) || fail "$service" "runs, but did not answer within $limit s"
        sleep 0.2
    done
}

rotate_log() {
    local size
    size=$(stat -c %s "$1" 2>/dev/null || echo 0)
    ((size < 20000000)) || mv "$1" "$1.1"
}

# One block, written at once, since several services may fail side by side.
fail() {
    local service=$1 what=$2 log
    log=$(service_dir "$service")/log
    {
        printf '\n%s %s. The end of %s:\n' "$service" "$what" "$log"
        tail -n 20 "$log" 2>/dev/null | cut -c1-400 | sed 's/^/    /'
        printf 'What to do: %s\n' "$(advice "$service" "$log")"
    } | { local text; text=$(cat); warn "$text"; }
    exit 1
}

advice() {
    local service=$1 end
    end=$(tail -n 60 "$2" 2>/dev/null || true)
    if (($(free_mb) < 100)) || grep -qiE 'no space left on device|errcode: 28|flood stage|disk full' <<<"$end"; then
        printf '%s.' "$(space_sentence)"
    elif grep -qiE 'address already in use|already in use|BindException' <<<"$end"; then
        taken_sentence "$service" "$(port "$service")"
    elif grep -qiE 'cannot allocate memory|insufficient memory|OutOfMemoryError' <<<"$end"; then
        printf 'there is not enough free memory (all services together need about 4 GB). End other programs, or bring up fewer services.'
    else
        printf 'the reason is usually among the lines above. "%s" shows more; "%s" starts this instance from nothing.' \
            "stack --instance $INSTANCE logs $service" "stack --instance $INSTANCE clean"
    fi
}

# ---- down -------------------------------------------------------------------------------------------------------------------

stop_service() {
    local service=$1 folder began
    folder=$(service_dir "$service")
    began=$(now_ms)
    ! declare -F "${service}_adopt" >/dev/null || "${service}_adopt" || true
    if alive "$service"; then
        end_process "$folder" 30
        printf '%-14s %-7s %5s s\n' "$service" down "$(seconds_since "$began")"
    fi
    rm -f "$folder/pid" "$folder/pid.started"
}

kill_service() {
    local service=$1 folder
    folder=$(service_dir "$service")
    ! declare -F "${service}_adopt" >/dev/null || "${service}_adopt" || true
    alive "$service" || die "$service of instance $INSTANCE does not run"
    end_process "$folder" 0
    printf '%-14s killed\n' "$service"
    rm -f "$folder/pid" "$folder/pid.started"
}

# SIGTERM, and after so many seconds SIGKILL; returns when the process is gone.
end_process() {
    local folder=$1 patience=$2 pid mark end
    pid=$(<"$folder/pid") mark=$(<"$folder/pid.started")
    if ((patience > 0)); then
        signal_process TERM "$pid" "$mark"
        # A process that a test has stopped takes the SIGTERM only when it goes on.
        signal_process CONT "$pid" "$mark"
    fi
    end=$(($(now_ms) + patience * 1000))
    while same_process "$pid" "$mark"; do
        if (($(now_ms) >= end)); then
            signal_process KILL "$pid" "$mark"
            end=$(($(now_ms) + 1000))
        fi
        sleep 0.05
    done
}

signal_process() {
    ! same_process "$2" "$3" || kill "-$1" "$2" 2>/dev/null || true
}
