# shellcheck shell=bash
# NATS with JetStream.

nats_address() { say "nats://127.0.0.1:$(port nats)"; }

nats_env() {
    env_line NATS "$(nats_address)"
    env_line NATS_MONITOR "http://127.0.0.1:$(port nats_monitor)"
    env_line NATS_DIR "$(service_dir nats)/data"
}

nats_configure() {
    local folder
    folder=$(service_dir nats)
    mkdir -p "$folder/data" || return
    write_file "$folder/nats.conf" <<CONF
server_name: "twolane-$INSTANCE"
listen: "127.0.0.1:$(port nats)"
http: "127.0.0.1:$(port nats_monitor)"
jetstream {
    store_dir: "$folder/data"
}
CONF
}

nats_launch() {
    local folder
    folder=$(service_dir nats)
    detach "$folder" "$folder/log" "$NATS_HOME/nats-server" --config "$folder/nats.conf"
}

nats_ready() {
    curl --silent --fail --max-time 2 --noproxy '*' --output /dev/null "http://127.0.0.1:$(port nats_monitor)/healthz"
}
