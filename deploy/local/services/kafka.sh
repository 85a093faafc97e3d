# shellcheck shell=bash
# Kafka: one process that is broker and controller (KRaft).

kafka_address() { say "127.0.0.1:$(port kafka)"; }

kafka_env() {
    env_line KAFKA "$(kafka_address)"
    env_line KAFKA_DIR "$(service_dir kafka)/data"
}

# Options shared by the JVMs that run from Kafka's jars, in the service's folder. Temporary files stay there, and nothing
# is left in /tmp. Paths are relative to that folder: Java splits a class path at colons and Kafka its lists of folders at
# commas, and the folder above may have either in its name.
java_command() {
    JAVA_COMMAND=("$(java_home)/bin/java" -Djava.awt.headless=true -Djava.io.tmpdir=tmp -XX:-UsePerfData
        -XX:+ExitOnOutOfMemoryError -Dorg.slf4j.simpleLogger.showDateTime=true
        '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS' -cp "../../dist/${KAFKA_LIBS##*/}/*")
}

kafka_configure() {
    local folder
    folder=$(service_dir kafka)
    mkdir -p "$folder/tmp" || return
    write_file "$folder/server.properties" <<CONF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$(port kafka_controller)
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$(port kafka),CONTROLLER://127.0.0.1:$(port kafka_controller)
advertised.listeners=PLAINTEXT://127.0.0.1:$(port kafka)
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=data

# Topics are made by twolane, with the partitions their specs name: one made by accident would have another count.
auto.create.topics.enable=false
delete.topic.enable=true

# One broker: nothing can be replicated.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# The defaults of 50 are for clusters; each partition is a folder with files to open at start.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
share.coordinator.state.topic.num.partitions=4

# A reader that dies is noticed in 10 s instead of 45, and a rebalance takes a second instead of five. Clients of the
# consumer protocol cannot choose these themselves, and the minimums must go down with them.
group.consumer.session.timeout.ms=10000
group.consumer.min.session.timeout.ms=10000
group.consumer.heartbeat.interval.ms=1000
group.consumer.min.heartbeat.interval.ms=1000
# A broker that was killed may not register again before its former self has expired: 4 s instead of 9.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
# The first reader of a classic group need not wait for others here.
group.initial.rebalance.delay.ms=0
CONF
    [[ -e $folder/data/meta.properties ]] && return
    rm -rf "$folder/data"
    mkdir -p "$folder/data" || return
    java_command
    # A cluster id is 16 random bytes in URL-safe base64; one that began with - would be taken for an option.
    (cd "$folder" && "${JAVA_COMMAND[@]}" kafka.tools.StorageTool format -c server.properties \
        -t "A$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c2-22)" >>log 2>&1)
}

kafka_launch() {
    local folder
    folder=$(service_dir kafka)
    java_command
    detach "$folder" "$folder/log" "${JAVA_COMMAND[@]}" -Xms256m -Xmx1g -XX:+UseG1GC -XX:MaxGCPauseMillis=20 \
        -XX:InitiatingHeapOccupancyPercent=35 kafka.Kafka server.properties
}

# Asks the broker for the cluster's metadata without topics, in Kafka's own protocol, because a JVM for each question
# would take a second of CPU. It is ready when the answer, from a broker in service, carries this instance's cluster id.
kafka_ready() {
    local id answer
    id=$(sed -n 's/^cluster\.id=//p' "$(service_dir kafka)/data/meta.properties" 2>/dev/null) && [[ -n $id ]] || return 1
    answer=$(
        exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$(port kafka)" || exit 1
        # Length 15; api 3 (Metadata) version 4; correlation id 1; no client id; an empty list of topics; create none.
        printf '\0\0\0\017\0\003\0\004\0\0\0\001\377\377\0\0\0\0\0' >&3
        # The answer: length, correlation id, throttle time, count of brokers, brokers, cluster id, controller id, …
        timeout 2 head -c 61 <&3 | od -An -v -tx1 | tr -d ' \n'
    ) || return 1
    [[ ${answer:24:8} == 00000001 && $answer == *"$(printf '%s' "$id" | od -An -v -tx1 | tr -d ' \n')"* ]]
}
