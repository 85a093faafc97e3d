//! The settings of the schema registry.

use super::address;
use super::settings::{authority, pair, secret};
use crate::config::read::Values;
use crate::config::{Problems, SchemaRegistrySettings};

/// `Some(None)` where no registry is set.
pub(super) fn read(
    values: &Values,
    problems: &mut Problems,
) -> Option<Option<SchemaRegistrySettings>> {
    let (user_path, password_path, file_path) = (
        "schema_registry.username",
        "schema_registry.password",
        "schema_registry.password_file",
    );
    let Some(url) = values.text("schema_registry.url") else {
        for path in [
            user_path,
            password_path,
            file_path,
            "schema_registry.ca_file",
            "schema_registry.timeout",
        ] {
            if values.given(path) {
                problems.add(
                    values.place(path),
                    format!("{path} needs schema_registry.url"),
                );
            }
        }
        return Some(None);
    };
    let url = address::http("schema_registry", &url)
        .map_err(|message| problems.add(values.place("schema_registry.url"), message))
        .ok();
    let password = secret(values, password_path, file_path, problems);
    let given = |path: &'static str| values.given(path).then_some(path);
    pair(
        values,
        "schema_registry",
        given(user_path),
        given(password_path).or(given(file_path)),
        problems,
    );
    let tls = url.as_ref().is_none_or(|(_, tls)| *tls);
    let ca_file = authority(
        values,
        "schema_registry.ca_file",
        tls,
        "an https:// address",
        problems,
    );
    Some(Some(SchemaRegistrySettings {
        url: url?.0,
        username: values.text(user_path),
        password,
        ca_file,
        timeout: values.duration("schema_registry.timeout")?,
    }))
}
