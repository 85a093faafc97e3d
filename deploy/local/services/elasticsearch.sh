# shellcheck shell=bash
# Elasticsearch: the real server with few modules (no scripts, no ingest pipelines, no language analysers).

elasticsearch_address() { say "http${SECURE:+s}://127.0.0.1:$(port elasticsearch)"; }

elasticsearch_env() {
    env_line ELASTICSEARCH "$(elasticsearch_address)"
    env_line ELASTICSEARCH_DIR "$(service_dir elasticsearch)/data"
    [[ -n $SECURE ]] || return 0
    env_line ELASTICSEARCH_USER elastic
    env_line ELASTICSEARCH_PASSWORD "$SECRET_ELASTICSEARCH"
}

elasticsearch_configure() {
    local folder=$INSTANCE_DIR/elasticsearch
    mkdir -p "$folder"/{config,data,tmp} || return
    write_file "$folder/config/elasticsearch.yml" <<CONF
cluster.name: twolane-$INSTANCE
node.name: $INSTANCE
path.data: "$folder/data"
path.logs: "$folder"
discovery.type: single-node
http.host: 127.0.0.1
http.port: $(port elasticsearch)
transport.host: 127.0.0.1
transport.port: $(port elasticsearch_nodes)

# Indices are made by twolane, with their mapping: one made by accident, by a write that came first, would have another.
action.auto_create_index: false

# The defaults are shares of the disk, and make every index read-only when a developer's disk is 95 % full. These are
# what a few test indices need.
cluster.routing.allocation.disk.watermark.low: 512mb
cluster.routing.allocation.disk.watermark.high: 256mb
cluster.routing.allocation.disk.watermark.flood_stage: 128mb

xpack.ml.enabled: false
xpack.license.self_generated.type: basic
xpack.security.autoconfiguration.enabled: false
xpack.security.enrollment.enabled: false
$(if [[ -n $SECURE ]]; then elasticsearch_security; else say "xpack.security.enabled: false"; fi)
# For tests that want a server with less: it lasts until the next start.
${TWOLANE_STACK_ELASTICSEARCH_CONFIG:-}
CONF
    write_file "$folder/config/jvm.options" <<CONF
-Xms1g
-Xmx1g
-XX:+UseG1GC
# Elasticsearch itself asks for all of the heap to be touched at start.
-XX:-AlwaysPreTouch
-Djava.io.tmpdir=\${ES_TMPDIR}
20-:--add-modules=jdk.incubator.vector
23:-XX:CompileCommand=dontinline,java/lang/invoke/MethodHandle.setAsTypeCache
23:-XX:CompileCommand=dontinline,java/lang/invoke/MethodHandle.asTypeUncached
-XX:+ExitOnOutOfMemoryError
-XX:-UsePerfData
-XX:ErrorFile=$folder/hs_err_pid%p.log
-Dtwolane.stack=$folder
CONF
    # Once started, the server has no output but this file.
    write_file "$folder/config/log4j2.properties" <<CONF
status = error
appender.file.type = File
appender.file.name = file
appender.file.fileName = $folder/log
appender.file.append = true
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] [%node_name]%marker %m%n
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
CONF
    [[ -z $SECURE ]] || elasticsearch_secrets || return
    elasticsearch_as
}

elasticsearch_security() {
    cat <<CONF
xpack.security.enabled: true
xpack.security.transport.ssl.enabled: false
xpack.security.http.ssl.enabled: true
xpack.security.http.ssl.key: server.key
xpack.security.http.ssl.certificate: server.pem
xpack.security.authc.api_key.enabled: true
CONF
}

# The password of the user elastic goes in by standard input: a command line can be read by everybody on the machine.
# Elasticsearch reads key and certificate only from its own configuration folder.
elasticsearch_secrets() {
    local config=$INSTANCE_DIR/elasticsearch/config
    cp "$INSTANCE_DIR/tls/server.key" "$INSTANCE_DIR/tls/server.pem" "$config/" || return
    [[ ! -e $config/elasticsearch.keystore ]] || return 0
    elasticsearch_environment
    printf '%s' "$SECRET_ELASTICSEARCH" |
        "${ES_ENV[@]}" "$ELASTICSEARCH_HOME/bin/elasticsearch-keystore" add --stdin --force bootstrap.password \
            >>"$INSTANCE_DIR/elasticsearch/log" 2>&1
}

# Elasticsearch refuses to run as root. Inside a user namespace that maps root to an ordinary id it is an ordinary user
# there, while the files stay root's here: no account has to be made, and a repository in a folder that only root can
# read works too. Where the kernel does not allow that, a system account of its own takes its place.
elasticsearch_as() {
    local folder=$INSTANCE_DIR/elasticsearch user=twolane-stack
    ES_AS=()
    ((EUID == 0)) || return 0
    if unshare --user --map-user=1000 --map-group=1000 -- true 2>/dev/null; then
        ES_AS=(unshare --user --map-user=1000 --map-group=1000 --)
        [[ -O $folder/data ]] || chown -R "$EUID:" "$folder"
        return
    fi
    id "$user" >/dev/null 2>&1 || announce useradd --system --no-create-home --shell /usr/sbin/nologin "$user" || return
    : >>"$folder/log"
    chown -R "$user:" "$folder" || return
    ES_AS=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups --)
    "${ES_AS[@]}" test -x "$ELASTICSEARCH_HOME/bin/elasticsearch" -a -w "$folder/data" ||
        die "Elasticsearch does not run as root, and its account $user cannot enter $STACK_DIR: set TWOLANE_STACK_DIR to a folder that every user may enter"
}

elasticsearch_environment() {
    local folder=$INSTANCE_DIR/elasticsearch
    ES_ENV=(env -u JAVA_HOME ES_JAVA_HOME="$(java_home)" ES_PATH_CONF="$folder/config" ES_TMPDIR="$folder/tmp"
        CLI_JAVA_OPTS="-Xmx64m -XX:TieredStopAtLevel=1 -XX:-UsePerfData")
}

elasticsearch_launch() {
    local folder=$INSTANCE_DIR/elasticsearch
    elasticsearch_environment
    rm -f "$folder/server.pid"
    # -d: the launching JVM ends when the server is up, and leaves one process.
    detach "$folder" "$folder/log" "${ES_AS[@]}" "${ES_ENV[@]}" "$ELASTICSEARCH_HOME/bin/elasticsearch" -d -p "$folder/server.pid"
}

# The launcher recorded itself; this records the server in its place as soon as there is one. The server's own pid file
# names no start time, so the id counts only if that process runs on this very folder.
elasticsearch_adopt() {
    local folder=$INSTANCE_DIR/elasticsearch pid
    pid=$(cat "$folder/server.pid" 2>/dev/null) && [[ -n $pid ]] || return 1
    { tr '\0' '\n' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qxF -e "-Dtwolane.stack=$folder" || return 1
    [[ $(cat "$folder/pid" 2>/dev/null) == "$pid" ]] || record_process "$folder" "$pid"
}

elasticsearch_ready() {
    elasticsearch_adopt || return 1
    # With data from before, yellow is when every primary shard is back.
    elasticsearch_curl --output /dev/null "$(elasticsearch_address)/_cluster/health?wait_for_status=yellow&timeout=1s"
}

elasticsearch_curl() {
    if [[ -n $SECURE ]]; then
        # The password goes in by a file: a command line can be read by everybody on the machine.
        curl --silent --fail --max-time 3 --noproxy '*' --cacert "$INSTANCE_DIR/tls/ca.pem" \
            --config <(printf 'user = "%s:%s"\n' elastic "$SECRET_ELASTICSEARCH") "$@"
    else
        curl --silent --fail --max-time 3 --noproxy '*' "$@"
    fi
}
