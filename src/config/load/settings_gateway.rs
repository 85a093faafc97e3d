//! The settings of the browsers' gateway.

use std::net::IpAddr;

use super::settings::secret;
use crate::config::read::Values;
use crate::config::{GatewaySettings, Place, Problems, Secret};

/// A key that can be tried from anywhere must not be guessed.
const SHORTEST_KEY: usize = 32;

/// `Some(None)` where there is no gateway, `None` where its settings are wrong.
pub(super) fn read(values: &Values, problems: &mut Problems) -> Option<Option<GatewaySettings>> {
    // What is wrong with them is wrong, also where nobody uses them.
    let (login, api_keys) = (login(values, problems), api_keys(values, problems));
    if !values.given("gateway.listen") {
        return Some(None);
    }
    if !values.given("live.auth.algorithm") {
        problems.add(
            values.place("gateway.listen"),
            "gateway.listen needs [live.auth]: without it no token can be checked; write algorithm, issuer and key_file there",
        );
    }
    let (ping, idle) = (
        values.duration("gateway.ping_interval")?,
        values.duration("gateway.idle_timeout")?,
    );
    if idle <= ping {
        problems.add(
            values.place("gateway.idle_timeout"),
            "gateway.idle_timeout must be longer than gateway.ping_interval, or clients that only listen are taken for gone",
        );
    }
    let (drain, shutdown) = (
        values.duration("gateway.drain")?,
        values.duration("shutdown")?,
    );
    if drain >= shutdown {
        problems.add(
            values.place("gateway.drain"),
            "gateway.drain must be shorter than shutdown, or the last clients are cut off",
        );
    }
    Some(Some(GatewaySettings {
        listen: values.address("gateway.listen")?,
        workers: number(values, "gateway.workers"),
        origins: origins(values, problems),
        proxies: proxies(values, problems),
        recent: number(values, "gateway.recent"),
        frame_bytes: values.size("gateway.frame_bytes"),
        queue_bytes: values.size("gateway.queue_bytes"),
        queued_bytes: values.size("gateway.queued_bytes"),
        handshake_timeout: values.duration("gateway.handshake_timeout")?,
        ping_interval: ping,
        idle_timeout: idle,
        message_rate: small(values, "gateway.message_rate"),
        message_burst: small(values, "gateway.message_burst"),
        fragments: number(values, "gateway.fragments"),
        in_flight: u8::try_from(values.integer("gateway.in_flight")).unwrap_or(u8::MAX),
        max_likes: small(values, "gateway.max_likes"),
        unacknowledged: number(values, "gateway.unacknowledged"),
        notification_bytes: values.size("gateway.notification_bytes"),
        send_buffer: u32::try_from(values.size("gateway.send_buffer")).unwrap_or(u32::MAX),
        requests: number(values, "gateway.requests"),
        max_connections: number(values, "gateway.max_connections"),
        max_per_user: number(values, "gateway.max_per_user"),
        max_per_address: number(values, "gateway.max_per_address"),
        drain,
        api_keys,
        login,
    }))
}

fn small(values: &Values, path: &str) -> u32 {
    u32::try_from(values.integer(path)).unwrap_or(u32::MAX)
}

fn number(values: &Values, path: &str) -> usize {
    usize::try_from(values.integer(path)).unwrap_or(usize::MAX)
}

fn login(values: &Values, problems: &mut Problems) -> Option<(String, Secret)> {
    let paths = ["gateway.nats_password", "gateway.nats_password_file"];
    let password = secret(values, paths[0], paths[1], problems);
    let user = values
        .given("gateway.nats_username")
        .then_some("gateway.nats_username");
    let given = paths.into_iter().find(|path| values.given(path));
    match (user, given) {
        (Some(one), None) | (None, Some(one)) => problems.add(
            values.place(one),
            "gateway.nats_username and gateway.nats_password (or gateway.nats_password_file) go together",
        ),
        (Some(_), Some(_)) | (None, None) => {}
    }
    values.text("gateway.nats_username").zip(password)
}

fn api_keys(values: &Values, problems: &mut Problems) -> Vec<Secret> {
    let Some(all) = secret(
        values,
        "gateway.api_keys",
        "gateway.api_keys_file",
        problems,
    ) else {
        return Vec::new();
    };
    let keys: Vec<&str> = all.expose().split(',').map(str::trim).collect();
    let good = |key: &&str| key.len() >= SHORTEST_KEY && key.bytes().all(|b| b.is_ascii_graphic());
    if !keys.iter().all(good) {
        let place: Place = if values.given("gateway.api_keys_file") {
            values.place("gateway.api_keys_file")
        } else {
            values.place("gateway.api_keys")
        };
        problems.add(
            place,
            format!(
                "gateway.api_keys holds a key of fewer than {SHORTEST_KEY} characters, or with some that no header can hold: make \
                 one with `openssl rand -hex 32`"
            ),
        );
        return Vec::new();
    }
    keys.into_iter().map(Secret::new).collect()
}

fn origins(values: &Values, problems: &mut Problems) -> Vec<String> {
    let mut origins = Vec::new();
    for item in values.list("gateway.origins") {
        let origin = item.value.trim_end_matches('/').to_ascii_lowercase();
        let rest = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"));
        let plain = |rest: &str| !rest.is_empty() && !rest.contains(['/', '*', '@', '?', '#', ' ']);
        if rest.is_some_and(plain) {
            origins.push(origin);
        } else {
            problems.add(
                item.place,
                format!(
                    "gateway.origins holds {:?}: write each as \"https://host\" or \"https://host:port\"; there are no wildcards",
                    item.value
                ),
            );
        }
    }
    origins
}

fn proxies(values: &Values, problems: &mut Problems) -> Vec<IpAddr> {
    let mut proxies = Vec::new();
    for item in values.list("gateway.proxies") {
        match item.value.parse() {
            Ok(address) => proxies.push(address),
            Err(_) => problems.add(
                item.place,
                format!(
                    "gateway.proxies holds {:?}, which is no address such as \"10.0.0.7\"",
                    item.value
                ),
            ),
        }
    }
    proxies
}
