# shellcheck shell=bash
# What every part uses: words to the user, locks, the instance's folder and what is recorded in it.

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() {
    printf 'stack: %s\n' "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Prints a command and runs it, so that nobody wonders what was done to the machine.
announce() {
    say "+ $*"
    "$@"
}

now_ms() { local t=${EPOCHREALTIME/[.,]/}; printf '%s' "${t%???}"; }

service_dir() { printf '%s/%s' "$INSTANCE_DIR" "$1"; }

make_folder() {
    mkdir -p "$1" 2>/dev/null && [[ -w $1 ]] && return
    die "cannot write to $1: make it writable for $(id -un), or set TWOLANE_STACK_DIR to another folder"
}

# Writes standard input to a file, all of it or nothing.
write_file() {
    local file=$1
    cat >"$file.new" 2>/dev/null && mv "$file.new" "$file" && return
    rm -f "$file.new"
    die "cannot write $file: $(space_sentence)"
}

random_hex() { od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'; }

# ---- the services asked for, in the order of SERVICES, with those that they need --------------------------------------

with_needed_services() {
    local asked=" $* " service
    [[ $# -gt 0 ]] || asked=" ${SERVICES[*]} "
    [[ $asked != *" connect "* ]] || asked+="kafka mariadb "
    for service in "${SERVICES[@]}"; do
        [[ $# -gt 0 || $ON_REQUEST != *" $service "* ]] || continue
        [[ $asked != *" $service "* ]] || say "$service"
    done
}

# ---- locks --------------------------------------------------------------------------------------------------------------
# up, down and clean have the instance for themselves; start, stop and kill share it and have one service each.
# The lock files lie beside the instance's folder, because clean deletes that. Servers are started with every inherited
# descriptor closed, or they would hold these locks for as long as they live.

lock_instance() {
    local how=--$1
    make_folder "$STACK_DIR"
    exec 9>>"$STACK_DIR/$INSTANCE.lock"
    if ! flock "$how" --nonblock 9; then
        say "waiting for another stack command on instance $INSTANCE"
        flock "$how" 9
    fi
}

lock_service() {
    make_folder "$(service_dir "$1")"
    exec 8>>"$(service_dir "$1")/lock"
    flock --exclusive 8
}

# ---- what an instance remembers ------------------------------------------------------------------------------------------

load_instance() {
    [[ -e $INSTANCE_DIR/ports ]] ||
        die "instance $INSTANCE was never brought up here ($STACK_DIR): run stack --instance $INSTANCE up"
    [[ ! -e $INSTANCE_DIR/secure ]] || SECURE=1
    load_ports
    load_secrets
}

# Security cannot be switched on an instance that has data: clients and servers would disagree about it half way.
settle_security() {
    if [[ -e $INSTANCE_DIR/ports ]]; then
        [[ -z $SECURE || -e $INSTANCE_DIR/secure ]] ||
            die "instance $INSTANCE was made without --secure: use another name with --instance, or stack --instance $INSTANCE clean first"
        [[ ! -e $INSTANCE_DIR/secure ]] || SECURE=1
    elif [[ -n $SECURE ]]; then
        : >"$INSTANCE_DIR/secure"
    fi
}

# Passwords and keys are made once for each instance: known to nobody else, and the same after a restart. An instance that
# was made before one of them was needed gets it now.
load_secrets() {
    local file=$INSTANCE_DIR/secrets name missing=()
    # shellcheck source=/dev/null
    [[ ! -e $file ]] || . "$file"
    for name in MARIADB_ROOT MARIADB_APP MARIADB_CDC ELASTICSEARCH REDIS NATS_WORKER NATS_GATEWAY NATS_CALLOUT NATS_ISSUER NATS_XKEY TOKEN; do
        [[ -v SECRET_$name ]] || missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    (umask 077 && {
        [[ ! -e $file ]] || cat "$file"
        for name in "${missing[@]}"; do say "SECRET_$name=$(make_secret "$name")"; done
    } | write_file "$file")
    # shellcheck source=/dev/null
    . "$file"
}

make_secret() {
    case $1 in
        NATS_ISSUER) nkey_seed account ;;
        NATS_XKEY) nkey_seed curve ;;
        TOKEN) random_hex 32 ;;
        *) random_hex 12 ;;
    esac
}

write_env() { (umask 077 && print_env | write_file "$INSTANCE_DIR/env"); }

print_env() {
    local service
    env_line INSTANCE "$INSTANCE"
    env_line INSTANCE_DIR "$INSTANCE_DIR"
    env_line JAVA "$(java_home)/bin/java"
    env_line KAFKA_LIBS "$KAFKA_LIBS"
    [[ -z $SECURE ]] || env_line CA_FILE "$INSTANCE_DIR/tls/ca.pem"
    for service in "${SERVICES[@]}"; do
        "${service}_env"
        env_line "${service^^}_PIDFILE" "$(service_dir "$service")/pid"
        env_line "${service^^}_LOG" "$(service_dir "$service")/log"
    done
}

# Quoted only where a shell needs it, so that simpler readers can take the lines as they are.
env_line() {
    local value=$2
    [[ $value =~ ^[A-Za-z0-9_./:@,+=-]*$ ]] || value=${value@Q}
    printf 'TWOLANE_STACK_%s=%s\n' "$1" "$value"
}

# ---- disk space ------------------------------------------------------------------------------------------------------------

free_mb() {
    local folder=$STACK_DIR
    while [[ ! -d $folder ]]; do folder=$(dirname "$folder"); done
    df -Pm "$folder" | awk 'NR == 2 { print $4 }'
}

space_sentence() {
    printf 'the disk that holds %s has %s MB free. Free some space there, or set TWOLANE_STACK_DIR to a folder on another disk, and run the command again' \
        "$STACK_DIR" "$(free_mb)"
}

# A new instance takes 120 MB, and a demo or a test run some hundreds more; the downloads take 400 MB while they are unpacked.
check_space() {
    local need=600 free
    dist_complete "$@" || need=1000
    free=$(free_mb)
    ((free >= need)) || die "the stack needs $need MB of disk and $(space_sentence)"
}
