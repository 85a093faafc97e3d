//! Addresses of servers. Credentials in an address are refused, so that no print of one can leak them; for
//! the same reason an address that has an `@` anywhere is never repeated in a message.

/// Checks a comma-separated list of `host:port` and returns it without spaces.
pub(super) fn brokers(text: &str) -> Result<String, String> {
    if text.contains('@') {
        return Err(
            "kafka.brokers holds credentials: put them into kafka.username and kafka.password, and leave host:port"
                .to_owned(),
        );
    }
    let brokers: Vec<&str> = text.split(',').map(str::trim).collect();
    for broker in &brokers {
        if broker.contains("://") {
            return Err(format!(
                "kafka.brokers holds {broker:?}: write host:port, and the protocol into kafka.security_protocol"
            ));
        }
        if !is_host_and_port(broker) {
            return Err(format!(
                "kafka.brokers holds {broker:?}, which is not host:port such as \"127.0.0.1:9092\""
            ));
        }
    }
    Ok(brokers.join(","))
}

/// Checks `http://host:port[/path]` of a section and returns it without a slash at its end, and whether it is
/// TLS.
pub(super) fn http(section: &str, url: &str) -> Result<(String, bool), String> {
    refuse_credentials(section, url)?;
    let wrong = || {
        format!(
            "{section}.url is {url:?}: write it as \"http://host:port\" or \"https://host:port\""
        )
    };
    let (tls, rest) = match url.split_once("://") {
        Some(("http", rest)) => (false, rest),
        Some(("https", rest)) => (true, rest),
        Some(_) | None => return Err(wrong()),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !is_host(authority) && !is_host_and_port(authority) || path.contains(['?', '#']) {
        return Err(wrong());
    }
    Ok((url.trim_end_matches('/').to_owned(), tls))
}

/// Checks `redis://host[:port][/db]` and says whether it is TLS.
pub(super) fn redis(url: &str) -> Result<bool, String> {
    refuse_credentials("redis", url)?;
    let wrong = || {
        format!(
            "redis.url is {url:?}: write it as \"redis://host:port/db\", or \"rediss://\" for TLS"
        )
    };
    let (tls, rest) = match url.split_once("://") {
        Some(("redis", rest)) => (false, rest),
        Some(("rediss", rest)) => (true, rest),
        Some(_) | None => return Err(wrong()),
    };
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let database_is_right = database.is_empty() || database.parse::<u32>().is_ok();
    if !is_host(authority) && !is_host_and_port(authority) || !database_is_right {
        return Err(wrong());
    }
    Ok(tls)
}

/// Checks `nats://host:port`, several separated by commas, returns them without spaces, and says whether they
/// are TLS.
pub(super) fn nats(text: &str) -> Result<(String, bool), String> {
    refuse_credentials("nats", text)?;
    let servers: Vec<&str> = text.split(',').map(str::trim).collect();
    let mut all_tls = None;
    for server in &servers {
        let tls = match server.split_once("://") {
            Some(("nats", rest)) if is_host(rest) || is_host_and_port(rest) => false,
            Some(("tls", rest)) if is_host(rest) || is_host_and_port(rest) => true,
            Some(_) | None => {
                return Err(format!(
                    "nats.url holds {server:?}: write it as \"nats://host:port\", or \"tls://host:port\" for TLS"
                ));
            }
        };
        if *all_tls.get_or_insert(tls) != tls {
            return Err(
                "nats.url mixes nats:// and tls://: a client that is sent on from one to the other would be \
                 refused; write all of them alike"
                    .to_owned(),
            );
        }
    }
    Ok((servers.join(","), all_tls.unwrap_or(false)))
}

fn refuse_credentials(section: &str, url: &str) -> Result<(), String> {
    if url.contains('@') {
        return Err(format!(
            "{section}.url holds credentials: put them into {section}.username and {section}.password, and leave the host"
        ));
    }
    Ok(())
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| is_host(host) && matches!(port.parse::<u16>(), Ok(1..)))
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    match text
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
    {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_and_ports() {
        assert_eq!(brokers("a:9092, b:9092").unwrap(), "a:9092,b:9092");
        assert_eq!(brokers("[::1]:9092").unwrap(), "[::1]:9092");
        for wrong in [
            "",
            "a",
            "a:",
            "a:0",
            "a:70000",
            "a:9092,",
            "a b:9092",
            "ssl://a:9092",
            "::1:9092",
        ] {
            assert!(brokers(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            http("elasticsearch", "http://a:9200/").unwrap(),
            ("http://a:9200".to_owned(), false)
        );
        assert_eq!(
            http("elasticsearch", "https://a/es").unwrap(),
            ("https://a/es".to_owned(), true)
        );
        for wrong in [
            "",
            "a:9200",
            "ftp://a",
            "http://",
            "http://a:b",
            "http://a/?x=1",
            "HTTP ://a",
        ] {
            assert!(http("elasticsearch", wrong).is_err(), "{wrong}");
        }
        assert!(!redis("redis://a:6379/0").unwrap());
        assert!(!redis("redis://a").unwrap());
        assert!(redis("rediss://[::1]:6379/15").unwrap());
        for wrong in [
            "",
            "a:6379",
            "http://a",
            "redis://",
            "redis://a/x",
            "redis://a/0?protocol=resp3",
            "redis://a/0/1",
        ] {
            assert!(redis(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            nats("nats://a:4222, nats://b").unwrap(),
            ("nats://a:4222,nats://b".to_owned(), false)
        );
        assert!(nats("tls://[::1]:4222").unwrap().1);
        for wrong in [
            "",
            "a:4222",
            "http://a",
            "nats://",
            "nats://a:0",
            "nats://a:4222/x",
            "nats://a,tls://b",
            "nats://a,",
        ] {
            assert!(nats(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn credentials_in_an_address_are_refused_and_never_repeated() {
        for answer in [
            brokers("app:s3cret@kafka:9092"),
            http("elasticsearch", "https://elastic:s3cret@es:9200").map(|(url, _)| url),
            http("elasticsearch", "elastic:s3cret@es").map(|(url, _)| url),
            redis("redis://:s3cret@redis:6379").map(|_| String::new()),
            nats("nats://worker:s3cret@nats:4222").map(|(url, _)| url),
            nats("nats://nats:4222,s3cret@nats").map(|(url, _)| url),
        ] {
            let message = answer.unwrap_err();
            assert!(message.contains("credentials"), "{message}");
            assert!(message.contains("password"), "{message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
    }
}
