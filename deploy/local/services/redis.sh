# shellcheck shell=bash
# Redis, from Debian.

redis_address() { say "redis${SECURE:+s}://127.0.0.1:$(port redis)/0"; }

redis_env() {
    env_line REDIS "$(redis_address)"
    env_line REDIS_DIR "$(service_dir redis)/data"
    [[ -z $SECURE ]] || env_line REDIS_PASSWORD "$SECRET_REDIS"
}

redis_configure() {
    local folder
    folder=$(service_dir redis)
    mkdir -p "$folder/data" || return
    (umask 077 && write_file "$folder/redis.conf" <<CONF
bind 127.0.0.1
daemonize no
dir "$folder/data"
# What a sink wrote must never be evicted silently: a full Redis refuses the write instead.
maxmemory-policy noeviction
appendonly yes
appendfsync everysec
# The append-only file is the one copy: no snapshots beside it.
save ""
$(if [[ -n $SECURE ]]; then
        cat <<TLS
port 0
tls-port $(port redis)
tls-cert-file "$INSTANCE_DIR/tls/server.pem"
tls-key-file "$INSTANCE_DIR/tls/server.key"
tls-ca-cert-file "$INSTANCE_DIR/tls/ca.pem"
tls-auth-clients no
requirepass $SECRET_REDIS
TLS
    else
        say "port $(port redis)"
    fi)
CONF
    )
}

redis_launch() {
    local folder
    folder=$(service_dir redis)
    detach "$folder" "$folder/log" redis-server "$folder/redis.conf"
}

redis_ready() {
    local options=()
    [[ -z $SECURE ]] || options=(--tls --cacert "$INSTANCE_DIR/tls/ca.pem")
    [[ $(REDISCLI_AUTH=${SECURE:+$SECRET_REDIS} timeout -s KILL 2 redis-cli -h 127.0.0.1 -p "$(port redis)" "${options[@]}" PING 2>/dev/null) == PONG ]]
}
