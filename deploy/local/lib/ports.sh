# shellcheck shell=bash
# Which ports an instance uses. Each has a block of 100, and the last two digits remind of the server's usual port.
# The ports are below 32768, where Linux begins to hand out ports for outgoing connections.

declare -A PORT_OFFSET=(
    [mariadb]=6                                   # 3306
    [elasticsearch]=20 [elasticsearch_nodes]=30   # 9200 9300
    [nats]=22 [nats_monitor]=82                   # 4222 8222
    [redis]=79                                    # 6379
    [connect]=83                                  # 8083
    [prometheus]=90                               # 9090
    [kafka]=92 [kafka_controller]=93              # 9092
)

port() { printf '%d' $((PORT_FIRST + PORT_OFFSET[$1])); }

ports_of() {
    local name
    for name in "${!PORT_OFFSET[@]}"; do
        [[ ${name%%_*} != "$1" ]] || port "$name"
        [[ ${name%%_*} != "$1" ]] || printf '\n'
    done
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

load_ports() {
    # shellcheck disable=SC2034
    read -r PORT_BASE PORT_FIRST <"$INSTANCE_DIR/ports"
}

# The first use of a name decides its ports, and the instance's folder remembers them.
settle_ports() {
    local base=${TWOLANE_STACK_PORT_BASE:-} service
    if [[ -n $base ]]; then
        [[ $base =~ ^[0-9]{4,5}$ && $base -ge 1024 && $base -le 56000 ]] ||
            die "TWOLANE_STACK_PORT_BASE is '$base': it must be a number from 1024 to 56000"
    fi
    if [[ -e $INSTANCE_DIR/ports ]]; then
        load_ports
        [[ -n $base && $base != "$PORT_BASE" ]] || return 0
        for service in "${SERVICES[@]}"; do
            ! alive "$service" ||
                die "instance $INSTANCE runs with port base $PORT_BASE: run stack --instance $INSTANCE down before moving it to $base"
        done
    fi
    PORT_BASE=${base:-21000}
    local tries=0 slot
    case $INSTANCE in
        local) PORT_FIRST=$PORT_BASE ;;
        test) PORT_FIRST=$((PORT_BASE + 200)) ;;
        *) PORT_FIRST=0 ;;
    esac
    if ((PORT_FIRST)) && ! block_free "$PORT_FIRST"; then
        say "$INSTANCE: other programs use ports from $PORT_FIRST on; taking others"
        PORT_FIRST=0
    fi
    if ((PORT_FIRST == 0)); then
        slot=$(printf '%s' "$STACK_DIR/$INSTANCE" | cksum | cut -d' ' -f1)
        until PORT_FIRST=$((PORT_BASE + 1000 + slot % 80 * 100)) && block_free "$PORT_FIRST"; do
            slot=$((slot + 1))
            ((++tries < 80)) || die "no free block of ports from $PORT_BASE on: set TWOLANE_STACK_PORT_BASE to another range"
        done
    fi
    say "$PORT_BASE $PORT_FIRST" | write_file "$INSTANCE_DIR/ports"
}

# Free: nobody listens there, and no other instance in this folder has it.
block_free() {
    local offset other
    for other in "$STACK_DIR"/*/ports; do
        [[ $other != "$INSTANCE_DIR/ports" && -e $other ]] || continue
        [[ $(cut -d' ' -f2 "$other") != "$1" ]] || return 1
    done
    for offset in "${PORT_OFFSET[@]}"; do
        ! listening $(($1 + offset)) || return 1
    done
}

check_ports() {
    local number
    for number in $(ports_of "$1"); do
        if listening "$number"; then
            warn ""
            warn "$1 cannot start: $(taken_sentence "$1" "$number")"
            exit 1
        fi
    done
}

taken_sentence() {
    local owner=
    ! have ss || owner=$(ss -Hltnp "sport = :$2" 2>/dev/null | grep -o 'users:.*' | head -n 1 | tr -d '()"' | sed 's/^users://; s/,fd=.*//; s/,pid=/, process /' || true)
    printf 'port %s is used by another program%s. End that program, or move this instance: stack --instance %s down, then TWOLANE_STACK_PORT_BASE=31000 (or another range) stack --instance %s up.' \
        "$2" "${owner:+ ($owner)}" "$INSTANCE" "$INSTANCE"
}
