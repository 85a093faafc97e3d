# shellcheck shell=bash
# Kafka Connect with Debezium's MariaDB connector. Distributed mode with one worker: connectors and their positions are
# kept in Kafka, and so survive the worker.

connect_address() { say "http://127.0.0.1:$(port connect)"; }

connect_env() {
    env_line CONNECT "$(connect_address)"
}

connect_configure() {
    local folder
    alive kafka || die "connect needs kafka, which is down: stack --instance $INSTANCE start kafka"
    folder=$(service_dir connect)
    mkdir -p "$folder/tmp" || return
    write_file "$folder/worker.properties" <<CONF
bootstrap.servers=127.0.0.1:$(port kafka)
group.id=twolane-connect
listeners=http://127.0.0.1:$(port connect)
rest.advertised.host.name=127.0.0.1
rest.advertised.port=$(port connect)
plugin.path=../../dist/${CONNECT_PLUGINS##*/}
# Plugins name themselves; looking into every class of every jar takes seconds.
plugin.discovery=service_load

config.storage.topic=connect-configs
offset.storage.topic=connect-offsets
status.storage.topic=connect-status
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
# One worker with a few connectors needs no more.
offset.storage.partitions=1
status.storage.partitions=1
# How much of the binlog is read again after a crash.
offset.flush.interval.ms=1000

# A worker that was killed and started again waits for its own former membership to expire: 6 s is the least that the
# broker allows. Nothing is held back for the departed one.
session.timeout.ms=6000
heartbeat.interval.ms=1000
scheduled.rebalance.max.delay.ms=0

key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=false
value.converter.schemas.enable=false

# Topics are made by twolane from their specs.
topic.creation.enable=false

# Connect switches idempotence off unless told otherwise, and its default codec is none. An idempotent producer keeps the
# order with up to five requests in flight; Connect's default is one.
producer.acks=all
producer.enable.idempotence=true
producer.max.in.flight.requests.per.connection=5
producer.compression.type=lz4
# A little patience makes batches, and so compression, worth it; it is far below what the lane promises.
producer.linger.ms=5
producer.batch.size=131072
CONF
}

connect_launch() {
    local folder
    folder=$(service_dir connect)
    java_command
    detach "$folder" "$folder/log" "${JAVA_COMMAND[@]}" -Xms128m -Xmx512m -XX:+UseG1GC \
        org.apache.kafka.connect.cli.ConnectDistributed worker.properties
}

connect_ready() {
    curl --silent --fail --max-time 2 --noproxy '*' --output /dev/null "$(connect_address)/connectors"
}
