//! What `deploy/` says of the program is so: names of settings, ports, paths, deadlines, and what the image is built from.
//!
//! None of it needs a container engine or a cluster. That the manifests are of their schemas is `.ci/run`'s to check.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use twolane::config::reference;

/// A public key of nobody's, as an identity service would hand it out.
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEw8whs15Rx0laEg91/PAJgVGK7xrS\n6c378mYOJPvoZ+cs3NWL1LIqdABndHK7HUgMhpOm6kobWVFkqAClhujA7Q==\n-----END PUBLIC KEY-----\n";
/// What a branch takes to leave its group, beside `shutdown`: src/branch/start.rs.
const LEAVING: Duration = Duration::from_secs(15);

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(here().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// The files of a folder by name, with their texts.
fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(here().join(folder)).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == extension) {
            let name = path
                .strip_prefix(here())
                .expect("below")
                .display()
                .to_string();
            let text = read(&name);
            found.push((name, text));
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{folder} holds no *.{extension}");
    found
}

fn manifests() -> Vec<(String, String)> {
    files("deploy/kubernetes", "yaml")
}

/// Everything that deploys the program, without the local stack's own scripts.
fn everything() -> Vec<(String, String)> {
    let mut all = manifests();
    all.extend(files("deploy/systemd", "service"));
    for file in [
        "deploy/compose.yaml",
        "deploy/Dockerfile",
        "deploy/RUNBOOK.md",
        "deploy/README.md",
    ] {
        all.push((file.to_owned(), read(file)));
    }
    all
}

/// Words of these characters that begin so.
fn words<'t>(text: &'t str, begin: &str, of: impl Fn(char) -> bool) -> BTreeSet<&'t str> {
    let found = text.match_indices(begin).map(|(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|c| !of(c)).unwrap_or(rest.len());
        rest[..end].trim_end_matches('_')
    });
    found.collect()
}

/// The first value of `name: value` or `name=value`.
fn value<'t>(text: &'t str, name: &str) -> &'t str {
    let (_, rest) = text.split_once(name).unwrap_or_else(|| panic!("no {name}"));
    let end = rest.find(['\n', ',', '}', '#']).unwrap_or(rest.len());
    rest[..end].trim().trim_matches('"')
}

fn default_of(setting: &str) -> String {
    let reference = reference::settings();
    let line = reference
        .lines()
        .find(|l| l.starts_with(&format!("| `{setting}` |")));
    let default = line
        .unwrap_or_else(|| panic!("no setting {setting}"))
        .split('|')
        .nth(3);
    default
        .expect("a default")
        .trim()
        .trim_matches('`')
        .to_owned()
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs(text.trim_end_matches('s').parse().expect("seconds"))
}

#[test]
fn every_setting_that_is_named_is_one() {
    let reference = reference::settings();
    for (file, text) in everything() {
        let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        for name in words(&text, "TWOLANE_", upper) {
            // The stack's and the settings file's own.
            let other = name.starts_with("TWOLANE_STACK_")
                || name == "TWOLANE_SETTINGS"
                || name == "TWOLANE";
            assert!(
                other || reference.contains(&format!("`{name}`")),
                "{file} names {name}, which is no setting"
            );
        }
    }
}

#[test]
fn paths_and_ports_are_the_programs_own() {
    let answers = read("src/ops/admin/answers.rs");
    for (file, text) in manifests() {
        for (at, _) in text.match_indices("path: /") {
            let path = value(&text[at..], "path: ");
            assert!(
                answers.contains(&format!("\"GET {path}\"")),
                "{file} asks for {path}"
            );
        }
    }
    let admin = default_of("admin.listen");
    let port = admin.rsplit(':').next().expect("a port");
    let place = format!("127.0.0.1:{port}");
    assert_eq!(admin, place);
    assert!(read("deploy/observability/prometheus.yml").contains(&format!("\"{place}\"")));
    let image = read("deploy/Dockerfile");
    assert!(value(&image, "EXPOSE ").split(' ').any(|p| p == port));
    for (file, text) in manifests()
        .iter()
        .filter(|(_, text)| text.contains("kind: Deployment"))
    {
        assert!(text.contains(&format!("containerPort: {port}")), "{file}");
        assert!(
            text.contains(&format!("prometheus.io/port: \"{port}\"")),
            "{file}"
        );
        for probe in ["livenessProbe", "readinessProbe"] {
            assert!(text.contains(probe), "{file} has no {probe}");
        }
        // A port that is listened on is named, and exposed by the image.
        for (setting, name) in [
            ("TWOLANE_GATEWAY_LISTEN", "gateway"),
            ("TWOLANE_INGEST_LISTEN", "ingest"),
        ] {
            if let Some((_, rest)) = text.split_once(setting) {
                let listen = value(rest, "value: ")
                    .rsplit(':')
                    .next()
                    .expect("a port")
                    .trim_matches('"')
                    .to_owned();
                assert!(
                    text.contains(&format!("{{ name: {name}, containerPort: {listen} }}")),
                    "{file}"
                );
                assert!(
                    value(&image, "EXPOSE ").split(' ').any(|p| p == listen),
                    "{file}"
                );
            }
        }
    }
}

#[test]
fn whoever_stops_a_process_waits_until_it_has_drained() {
    let drained = seconds(&default_of("shutdown")) + LEAVING;
    let wait = |file: &str, text: &str, name: &str| {
        let given = seconds(value(text, name));
        assert!(
            given > drained,
            "{file}: {given:?} are not more than {drained:?}"
        );
    };
    for (file, text) in manifests() {
        if text.contains("kind: Deployment") {
            wait(&file, &text, "terminationGracePeriodSeconds:");
        }
    }
    wait(
        "systemd",
        &read("deploy/systemd/twolane.service"),
        "TimeoutStopSec=",
    );
    wait(
        "compose",
        &read("deploy/compose.yaml"),
        "stop_grace_period:",
    );
    let settings = value(&read("deploy/kubernetes/10-settings.yaml"), "shutdown =").to_owned();
    assert_eq!(settings, default_of("shutdown"));
}

#[test]
fn every_workload_may_do_nothing_that_it_need_not() {
    for (file, text) in manifests() {
        if !text.contains("kind: Deployment") {
            continue;
        }
        for line in [
            "runAsNonRoot: true",
            "seccompProfile: { type: RuntimeDefault }",
            "allowPrivilegeEscalation: false",
            "readOnlyRootFilesystem: true",
            "capabilities: { drop: [ALL] }",
            "automountServiceAccountToken: false",
            "kind: PodDisruptionBudget",
            "requests: {",
            "limits: {",
        ] {
            assert!(text.contains(line), "{file} lacks {line}");
        }
        // The same number as the image's user.
        assert!(
            read("deploy/Dockerfile").contains(&format!("USER {}:", value(&text, "runAsUser: "))),
            "{file}"
        );
    }
}

#[test]
fn the_image_is_built_from_what_is_here() {
    let image = read("deploy/Dockerfile");
    let manifest = read("Cargo.toml");
    let rust = value(&manifest, "rust-version = ");
    assert!(
        image.contains(&format!("FROM rust:{rust}.")),
        "the image's Rust is not {rust}"
    );
    let ignored = read(".dockerignore");
    for line in image
        .lines()
        .filter(|l| l.starts_with("COPY ") && !l.contains("--from"))
    {
        let parts: Vec<&str> = line.split_whitespace().skip(1).collect();
        for source in &parts[..parts.len() - 1] {
            assert!(here().join(source).exists(), "{line}");
            assert!(
                ignored.lines().any(|l| l == format!("!{source}")),
                ".dockerignore holds {source} back"
            );
        }
    }
    // Cargo asks for every target that the manifest names, whatever is built.
    for (_, rest) in manifest
        .match_indices("\npath = ")
        .map(|(at, m)| manifest.split_at(at + m.len()))
    {
        let path = value(rest, "\"").trim_matches('"');
        assert!(image.contains(path), "the dependencies' layer lacks {path}");
    }
}

/// What a Deployment gives its process, in a folder instead of /etc/twolane, is taken by the program itself.
#[test]
fn every_workloads_settings_are_valid() {
    let settings = read("deploy/kubernetes/10-settings.yaml");
    let (_, block) = settings
        .split_once("twolane.toml: |\n")
        .expect("the settings");
    let block: String = block
        .lines()
        .map(|l| format!("{}\n", l.strip_prefix("    ").unwrap_or(l)))
        .collect();
    let mut checked = 0;
    for (file, text) in manifests()
        .iter()
        .filter(|(_, text)| text.contains("kind: Deployment"))
    {
        let etc = tempfile::tempdir().expect("a folder");
        let copy = |from: &Path, to: &Path| {
            std::fs::create_dir_all(to).expect("a folder");
            for entry in std::fs::read_dir(from).expect("a folder") {
                let entry = entry.expect("an entry");
                std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
            }
        };
        copy(&here().join("topics"), &etc.path().join("topics"));
        copy(&here().join("pipelines"), &etc.path().join("pipelines"));
        for folder in ["settings", "secrets"] {
            std::fs::create_dir(etc.path().join(folder)).expect("a folder");
        }
        std::fs::write(etc.path().join("settings/twolane.toml"), &block).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_twolane"));
        command.env_clear().current_dir(etc.path()).arg("validate");
        let root = etc.path().display().to_string();
        for (_, rest) in text
            .match_indices("{ name: TWOLANE_")
            .map(|(at, _)| text.split_at(at))
        {
            let (name, given) = (
                value(rest, "name: "),
                value(rest, "value: ").trim_end_matches(" }"),
            );
            command.env(name, given.trim_matches('"').replace("/etc/twolane", &root));
            if let Some(secret) = given
                .trim_matches('"')
                .strip_prefix("/etc/twolane/secrets/")
            {
                let content = match secret {
                    "token-key" => PUBLIC_KEY.to_owned(),
                    // The seed of deploy/compose.yaml, which is no secret.
                    "issuer-seed" => {
                        "SAAN2CRPQ6M7B24DAPQXHLHRUKDBS27LAQMWZBCIHUKDGPLTHZG25CQMGA".to_owned()
                    }
                    "keys" => format!("shop {} app.behaviour\n", "k".repeat(32)),
                    _ => "0123456789abcdef0123456789abcdef".to_owned(),
                };
                std::fs::write(etc.path().join("secrets").join(secret), content).expect("a file");
                // Whoever makes the secret is told of each of its files.
                let head = text.split("apiVersion").next().expect("a comment");
                let prefix = read("deploy/kubernetes/00-namespace.yaml");
                assert!(
                    head.contains(secret) || prefix.contains(secret),
                    "{file} does not say what {secret} is"
                );
            }
        }
        let output = command.output().expect("twolane runs");
        assert!(
            output.status.success(),
            "{file}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        checked += 1;
    }
    assert_eq!(checked, 4);
}
