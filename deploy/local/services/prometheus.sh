# shellcheck shell=bash
# Prometheus, from Debian, with the configuration and the rules of deploy/observability. It comes only where it is named.
#
# What it scrapes is TWOLANE_STACK_SCRAPE, host:port of an admin address; a configuration is made at each start.

prometheus_address() { say "http://127.0.0.1:$(port prometheus)"; }

prometheus_env() { env_line PROMETHEUS "$(prometheus_address)"; }

prometheus_configure() {
    local folder scrape=${TWOLANE_STACK_SCRAPE:-127.0.0.1:9464}
    folder=$(service_dir prometheus)
    [[ $scrape =~ ^[A-Za-z0-9_.:-]+:[0-9]+$ ]] || { warn "TWOLANE_STACK_SCRAPE is '$scrape', and should be host:port"; return 1; }
    mkdir -p "$folder/data" || return
    # The example as it stands, but for what it scrapes and how often.
    sed -e "s|127\.0\.0\.1:9464|$scrape|" -e 's|_interval: 15s|_interval: 1s|' \
        -e "s|twolane\.rules\.yml|$REPO/deploy/observability/twolane.rules.yml|" \
        "$REPO/deploy/observability/prometheus.yml" | write_file "$folder/prometheus.yml"
}

prometheus_launch() {
    local folder
    folder=$(service_dir prometheus)
    detach "$folder" "$folder/log" prometheus --config.file="$folder/prometheus.yml" \
        --storage.tsdb.path="$folder/data" --storage.tsdb.retention.time=2d \
        --web.listen-address="127.0.0.1:$(port prometheus)"
}

prometheus_ready() { curl --silent --fail --max-time 2 "$(prometheus_address)/-/ready" >/dev/null; }
