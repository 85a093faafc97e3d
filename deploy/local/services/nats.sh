# shellcheck shell=bash
# NATS with JetStream, as the live lane wants it. Three accounts:
#
#   LIVE   the workers, their streams, the browsers' gateway, and services that notify users
#   USERS  whoever has a token. Comments go to LIVE as a service, so that the server's acknowledgement comes back within
#          USERS: the server sends it to whatever reply subject a client names, and in LIVE that could be one that a
#          stream takes, such as live.<room>.out. All else goes across as it is
#   AUTH   the callout, which the server asks who a user is (twolane run answers)

nats_address() {
    local scheme=nats
    [[ -z $SECURE ]] || scheme=tls
    say "$scheme://127.0.0.1:$(port nats)"
}

nats_env() {
    env_line NATS "$(nats_address)"
    env_line NATS_MONITOR "http://127.0.0.1:$(port nats_monitor)"
    env_line NATS_DIR "$(service_dir nats)/data"
    env_line NATS_SERVER "$NATS_HOME/nats-server"
    env_line NATS_CONF "$(service_dir nats)/nats.conf"
    env_line NATS_USER worker
    env_line NATS_PASSWORD "$SECRET_NATS_WORKER"
    env_line NATS_GATEWAY_USER gateway
    env_line NATS_GATEWAY_PASSWORD "$SECRET_NATS_GATEWAY"
    env_line NATS_CALLOUT_USER callout
    env_line NATS_CALLOUT_PASSWORD "$SECRET_NATS_CALLOUT"
    env_line NATS_ISSUER_SEED "$SECRET_NATS_ISSUER"
    [[ -z $SECURE ]] || env_line NATS_XKEY_SEED "$SECRET_NATS_XKEY"
    env_line NATS_ACCOUNT USERS
    # What tokens of this instance are signed with (HS256), and what they must say.
    env_line TOKEN_KEY "$SECRET_TOKEN"
    env_line TOKEN_ISSUER "twolane-$INSTANCE"
    env_line TOKEN_AUDIENCE twolane
}

nats_configure() {
    local folder
    folder=$(service_dir nats)
    mkdir -p "$folder/data" || return
    (umask 077 && write_file "$folder/nats.conf" <<CONF
server_name: "twolane-$INSTANCE"
listen: "127.0.0.1:$(port nats)"
http: "127.0.0.1:$(port nats_monitor)"
jetstream {
    store_dir: "$folder/data"
}
$([[ -z $SECURE ]] || cat <<TLS
tls {
    cert_file: "$INSTANCE_DIR/tls/server.pem"
    key_file: "$INSTANCE_DIR/tls/server.key"
}
TLS
    )
accounts {
    LIVE {
        jetstream: enabled
        users: [
            { user: "worker", password: "$SECRET_NATS_WORKER" }
            # The browsers' gateway speaks in the name of whoever has shown it a token, and can do nothing that they could
            # not do together, but for where each of them has read to.
            { user: "gateway", password: "$SECRET_NATS_GATEWAY", permissions: {
                publish: [
                    "live.*.in.comment.*", "live.*.in.like.*", "live.*.in.here.*", "live.*.history.*", "live.*.ctl.*"
                    "notify.*", "notified.*", "\$JS.API.DIRECT.GET.NOTIFY", "\$JS.API.DIRECT.GET.NOTIFY_READ"
                ]
                subscribe: [
                    "live.*.feed", "live.*.likes", "live.refused.*", "notify.*.feed", "_INBOX.*.gateway.>", "_GATEWAY.>"
                ]
            } }
        ]
        exports: [
            { service: "live.*.in.comment.*", accounts: [USERS] }
            { stream: "live.*.feed", accounts: [USERS] }
            { stream: "live.*.likes", accounts: [USERS] }
            { stream: "live.refused.*", accounts: [USERS] }
            { stream: "notify.*", accounts: [USERS] }
            { stream: "_INBOX.>", accounts: [USERS] }
        ]
        imports: [
            { stream: { account: USERS, subject: "live.*.in.like.*" } }
            { stream: { account: USERS, subject: "live.*.in.here.*" } }
            { stream: { account: USERS, subject: "live.*.history.*" } }
            { stream: { account: USERS, subject: "live.*.ctl.*" } }
        ]
    }
    USERS {
        # A moderator's 500 keywords fit; a client watches some dozen rooms at the most.
        limits { max_payload: 65536, max_subscriptions: 64 }
        exports: [
            { stream: "live.*.in.like.*", accounts: [LIVE] }
            { stream: "live.*.in.here.*", accounts: [LIVE] }
            { stream: "live.*.history.*", accounts: [LIVE] }
            { stream: "live.*.ctl.*", accounts: [LIVE] }
        ]
        imports: [
            { service: { account: LIVE, subject: "live.*.in.comment.*" } }
            { stream: { account: LIVE, subject: "live.*.feed" } }
            { stream: { account: LIVE, subject: "live.*.likes" } }
            { stream: { account: LIVE, subject: "live.refused.*" } }
            { stream: { account: LIVE, subject: "notify.*" } }
            { stream: { account: LIVE, subject: "_INBOX.>" } }
        ]
    }
    AUTH {
        users: [ { user: "callout", password: "$SECRET_NATS_CALLOUT" } ]
    }
}
authorization {
    # How long a connection waits for the callout's answer; without one it is refused.
    timeout: 2
    auth_callout {
        issuer: "$(nkey_public account "$SECRET_NATS_ISSUER")"
        account: AUTH
        # The only static users; everyone else is asked about.
        auth_users: [ worker, gateway, callout ]
        $([[ -z $SECURE ]] || say "xkey: \"$(nkey_public curve "$SECRET_NATS_XKEY")\"")
    }
}
CONF
    )
}

nats_launch() {
    local folder
    folder=$(service_dir nats)
    detach "$folder" "$folder/log" "$NATS_HOME/nats-server" --config "$folder/nats.conf"
}

nats_ready() {
    curl --silent --fail --max-time 2 --noproxy '*' --output /dev/null "http://127.0.0.1:$(port nats_monitor)/healthz"
}
