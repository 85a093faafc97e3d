# shellcheck shell=bash
# --until-exit: a small process of its own that takes the instance down when the processes it was told about have ended.
# Each of them is a file under `until`, named by process id, that holds its start mark.

watch_until_exit() {
    local pid=$1 mark
    [[ $pid =~ ^[0-9]+$ ]] || die "--until-exit needs a process id, not '$pid'"
    mark=$(process_mark "$pid") || die "there is no process $pid to wait for"
    make_folder "$INSTANCE_DIR/until"
    printf '%s\n' "$mark" >"$INSTANCE_DIR/until/$pid"
    make_folder "$INSTANCE_DIR/watcher"
    recorded_alive "$INSTANCE_DIR/watcher" && return
    TWOLANE_STACK_DIR=$STACK_DIR detach "$INSTANCE_DIR/watcher" "$INSTANCE_DIR/watcher/log" "$BASH" "$HERE/stack" --instance "$INSTANCE" __watch
}

watched_alive() {
    local file
    for file in "$INSTANCE_DIR/until"/*; do
        [[ -s $file ]] || continue
        ! same_process "${file##*/}" "$(<"$file")" || return 0
    done
    return 1
}

watch_loop() {
    while [[ -d $INSTANCE_DIR/until ]]; do
        if ! watched_alive; then
            lock_instance exclusive
            # An up may have added a process while this one waited for the lock.
            if ! watched_alive; then
                rm -rf "$INSTANCE_DIR/until"
                [[ -e $INSTANCE_DIR/keep ]] || down_locked
                return
            fi
            exec 9>&-
        fi
        sleep 1
    done
}

stop_watcher() {
    local folder=$INSTANCE_DIR/watcher
    recorded_alive "$folder" || return 0
    [[ $(<"$folder/pid") != "$$" ]] || return 0
    end_process "$folder" 5
}
