//! Which settings differ between two readings, by the names that people know them by.

use super::{
    AdminSettings, CalloutSettings, ElasticsearchSettings, GatewaySettings, IngestSettings,
    KafkaSettings, LiveSettings, LogSettings, NatsSettings, ProduceSettings, RedisSettings,
    SchemaRegistrySettings, Settings, TokenSettings,
};

/// The names of settings.
type Names = Vec<&'static str>;

/// Notes the fields that differ. Every field of the type must be listed, or this does not compile: a setting that is
/// new cannot be left out of the comparison.
macro_rules! compare {
    ($to:ident, $type:ident, $a:ident, $b:ident, { $($field:ident = $name:literal),+ $(,)? }) => {
        let $type { $($field: _),+ } = $a;
        $(if $a.$field != $b.$field {
            $to.push($name);
        })+
    };
}

// === impl Settings ===

impl Settings {
    /// The settings of `other` that are not as here, by name; never a value, since it may be a secret.
    pub fn differences(&self, other: &Self) -> Names {
        let (a, b) = (self, other);
        let Self {
            kafka: _,
            elasticsearch: _,
            redis: _,
            nats: _,
            live: _,
            gateway: _,
            schema_registry: _,
            produce: _,
            ingest: _,
            admin: _,
            log: _,
            topics_dir: _,
            pipelines_dir: _,
            shutdown: _,
            stuck_after: _,
        } = a;
        let mut to = Names::new();
        for (name, differs) in [
            ("topics_dir", a.topics_dir != b.topics_dir),
            ("pipelines_dir", a.pipelines_dir != b.pipelines_dir),
            ("shutdown", a.shutdown != b.shutdown),
            ("stuck_after", a.stuck_after != b.stuck_after),
        ] {
            to.extend(differs.then_some(name));
        }
        kafka(&a.kafka, &b.kafka, &mut to);
        elasticsearch(&a.elasticsearch, &b.elasticsearch, &mut to);
        redis(&a.redis, &b.redis, &mut to);
        nats(&a.nats, &b.nats, &mut to);
        live(&a.live, &b.live, &mut to);
        both(
            a.gateway.as_ref(),
            b.gateway.as_ref(),
            "gateway.listen",
            gateway,
            &mut to,
        );
        both(
            a.schema_registry.as_ref(),
            b.schema_registry.as_ref(),
            "schema_registry.url",
            schema_registry,
            &mut to,
        );
        produce(&a.produce, &b.produce, &mut to);
        both(
            a.ingest.as_ref(),
            b.ingest.as_ref(),
            "ingest.listen",
            ingest,
            &mut to,
        );
        admin(&a.admin, &b.admin, &mut to);
        log(&a.log, &b.log, &mut to);
        to
    }
}

/// A section that may be absent: where only one has it, the setting that makes it be there differs.
fn both<T>(
    a: Option<&T>,
    b: Option<&T>,
    switch: &'static str,
    compare: fn(&T, &T, &mut Names),
    to: &mut Names,
) {
    match (a, b) {
        (Some(a), Some(b)) => compare(a, b, to),
        (None, None) => {}
        (Some(_), None) | (None, Some(_)) => to.push(switch),
    }
}

fn kafka(a: &KafkaSettings, b: &KafkaSettings, to: &mut Names) {
    compare!(to, KafkaSettings, a, b, {
        brokers = "kafka.brokers",
        group_protocol = "kafka.group_protocol",
        session_timeout = "kafka.session_timeout",
        security_protocol = "kafka.security_protocol",
        sasl_mechanism = "kafka.sasl_mechanism",
        username = "kafka.username",
        password = "kafka.password",
        ca_file = "kafka.ca_file",
        queue_bytes = "kafka.queue_bytes",
        properties = "kafka.properties",
    });
}

fn elasticsearch(a: &ElasticsearchSettings, b: &ElasticsearchSettings, to: &mut Names) {
    compare!(to, ElasticsearchSettings, a, b, {
        url = "elasticsearch.url",
        username = "elasticsearch.username",
        password = "elasticsearch.password",
        api_key = "elasticsearch.api_key",
        ca_file = "elasticsearch.ca_file",
        timeout = "elasticsearch.timeout",
        search_probe = "elasticsearch.search_probe",
    });
}

fn redis(a: &RedisSettings, b: &RedisSettings, to: &mut Names) {
    compare!(to, RedisSettings, a, b, {
        url = "redis.url",
        username = "redis.username",
        password = "redis.password",
        ca_file = "redis.ca_file",
        timeout = "redis.timeout",
    });
}

fn nats(a: &NatsSettings, b: &NatsSettings, to: &mut Names) {
    compare!(to, NatsSettings, a, b, {
        url = "nats.url",
        username = "nats.username",
        password = "nats.password",
        ca_file = "nats.ca_file",
        timeout = "nats.timeout",
    });
}

fn live(a: &LiveSettings, b: &LiveSettings, to: &mut Names) {
    let LiveSettings {
        auth: _,
        callout: _,
    } = a;
    both(
        a.auth.as_ref(),
        b.auth.as_ref(),
        "live.auth.algorithm",
        tokens,
        to,
    );
    both(
        a.callout.as_ref(),
        b.callout.as_ref(),
        "live.callout.issuer_seed",
        callout,
        to,
    );
}

fn tokens(a: &TokenSettings, b: &TokenSettings, to: &mut Names) {
    compare!(to, TokenSettings, a, b, {
        algorithm = "live.auth.algorithm",
        key = "live.auth.key",
        issuer = "live.auth.issuer",
        audience = "live.auth.audience",
    });
}

fn callout(a: &CalloutSettings, b: &CalloutSettings, to: &mut Names) {
    compare!(to, CalloutSettings, a, b, {
        issuer_seed = "live.callout.issuer_seed",
        account = "live.callout.account",
        services_account = "live.callout.services_account",
        xkey_seed = "live.callout.xkey_seed",
        login = "live.callout.username, live.callout.password",
    });
}

fn gateway(a: &GatewaySettings, b: &GatewaySettings, to: &mut Names) {
    compare!(to, GatewaySettings, a, b, {
        listen = "gateway.listen",
        workers = "gateway.workers",
        origins = "gateway.origins",
        proxies = "gateway.proxies",
        recent = "gateway.recent",
        frame_bytes = "gateway.frame_bytes",
        queue_bytes = "gateway.queue_bytes",
        queued_bytes = "gateway.queued_bytes",
        handshake_timeout = "gateway.handshake_timeout",
        ping_interval = "gateway.ping_interval",
        idle_timeout = "gateway.idle_timeout",
        max_connections = "gateway.max_connections",
        max_per_user = "gateway.max_per_user",
        max_per_address = "gateway.max_per_address",
        drain = "gateway.drain",
        message_rate = "gateway.message_rate",
        message_burst = "gateway.message_burst",
        fragments = "gateway.fragments",
        in_flight = "gateway.in_flight",
        max_likes = "gateway.max_likes",
        unacknowledged = "gateway.unacknowledged",
        notification_bytes = "gateway.notification_bytes",
        send_buffer = "gateway.send_buffer",
        requests = "gateway.requests",
        api_keys = "gateway.api_keys",
        login = "gateway.nats_username, gateway.nats_password",
    });
}

fn schema_registry(a: &SchemaRegistrySettings, b: &SchemaRegistrySettings, to: &mut Names) {
    compare!(to, SchemaRegistrySettings, a, b, {
        url = "schema_registry.url",
        username = "schema_registry.username",
        password = "schema_registry.password",
        ca_file = "schema_registry.ca_file",
        timeout = "schema_registry.timeout",
    });
}

fn produce(a: &ProduceSettings, b: &ProduceSettings, to: &mut Names) {
    compare!(to, ProduceSettings, a, b, {
        queue_bytes = "produce.queue_bytes",
        queue_records = "produce.queue_records",
        timeout = "produce.timeout",
    });
}

fn ingest(a: &IngestSettings, b: &IngestSettings, to: &mut Names) {
    compare!(to, IngestSettings, a, b, {
        listen = "ingest.listen",
        clients = "ingest.keys_file",
        max_body = "ingest.max_body",
        max_events = "ingest.max_events",
        timeout = "ingest.timeout",
        rate = "ingest.rate, ingest.burst",
    });
}

fn admin(a: &AdminSettings, b: &AdminSettings, to: &mut Names) {
    compare!(to, AdminSettings, a, b, {
        listen = "admin.listen",
        token = "admin.token",
        audit_file = "admin.audit_file",
    });
}

fn log(a: &LogSettings, b: &LogSettings, to: &mut Names) {
    compare!(to, LogSettings, a, b, {
        format = "log.format",
        filter = "log.filter",
    });
}

#[cfg(test)]
mod tests {
    use super::super::{LoadOptions, load_settings};
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Settings {
        let options = LoadOptions {
            directory: std::env::temp_dir(),
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..LoadOptions::default()
        };
        load_settings(&options).unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[test]
    fn what_differs_is_named_and_what_is_written_otherwise_is_not() {
        let plain = settings(&[]);
        assert!(plain.differences(&plain).is_empty());
        // Its default.
        let same = settings(&[("TWOLANE_SHUTDOWN", "20s")]);
        assert!(plain.differences(&same).is_empty());
        let other = settings(&[
            ("TWOLANE_SHUTDOWN", "30s"),
            ("TWOLANE_KAFKA_QUEUE_BYTES", "32MiB"),
            ("TWOLANE_REDIS_PASSWORD", "hunter2-hunter2"),
            ("TWOLANE_SCHEMA_REGISTRY_URL", "http://127.0.0.1:8081"),
        ]);
        let names = [
            "shutdown",
            "kafka.queue_bytes",
            "redis.password",
            "schema_registry.url",
        ];
        assert_eq!(plain.differences(&other), names);
        assert_eq!(other.differences(&plain), names);
    }
}
