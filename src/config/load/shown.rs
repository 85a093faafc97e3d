//! The settings as they hold, for people's eyes: each with its value, or that it is a secret, and where it was written.

use serde::Serialize;

use super::settings::{self, variable};
use super::{LoadOptions, SETTINGS};
use crate::config::read::{Field, Kind};
use crate::config::{Place, Problems};

/// One setting. A secret shows that it is set, and nothing of itself.
#[derive(Debug, Clone, Serialize)]
pub struct ShownSetting {
    /// Its place in the file: `kafka.brokers`.
    pub path: &'static str,
    /// Its variable.
    pub variable: String,
    /// What holds; absent where nothing does.
    pub value: Option<String>,
    /// Who says so.
    pub origin: Origin,
    /// The file, line and column, or the variable; absent for a default.
    pub place: Option<String>,
    /// Whether it is a secret.
    pub secret: bool,
    /// What it means.
    pub about: &'static str,
}

/// Who says what holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The settings file.
    File,
    /// A variable.
    Variable,
    /// Nobody: it is what holds then.
    Default,
    /// Nobody, and nothing holds then.
    Unset,
}

/// Every setting, in the order of the reference.
///
/// # Errors
/// What [`super::load_settings`] says.
pub fn shown_settings(options: &LoadOptions) -> Result<Vec<ShownSetting>, Problems> {
    super::load_settings(options)?;
    // What is wrong has been said.
    let values = settings::values(options, &mut Problems::default());
    let one = |field: &'static Field| {
        let (value, origin, place) = match (values.written(field.path), field.default) {
            (Some((value, place)), _) => {
                let origin = match place {
                    Place::Variable(_) => Origin::Variable,
                    Place::Character { .. } | Place::File(_) | Place::Default(_) => Origin::File,
                };
                (Some(value), origin, Some(place.to_string()))
            }
            (None, Some(default)) => (Some(default.to_owned()), Origin::Default, None),
            (None, None) => (None, Origin::Unset, None),
        };
        ShownSetting {
            path: field.path,
            variable: variable(field),
            value,
            origin,
            place,
            secret: matches!(field.kind, Kind::Secret),
            about: field.about,
        }
    };
    Ok(SETTINGS.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_says_where_it_comes_from_and_a_secret_nothing_of_itself() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[kafka]\nbrokers = \"a:1\"\nproperties = { \"ssl.key.password\" = \"hunter2\" }\n\
                    [redis]\npassword = \"hunter2\"\n";
        std::fs::write(folder.path().join("twolane.toml"), text).unwrap();
        let options = LoadOptions {
            settings: None,
            variables: [("TWOLANE_LOG_FILTER".to_owned(), "debug".to_owned())].into(),
            directory: folder.path().to_owned(),
        };
        let all = shown_settings(&options).unwrap_or_else(|problems| panic!("{problems}"));
        let of = |path: &str| all.iter().find(|s| s.path == path).unwrap();
        let value = |path: &str| (of(path).origin, of(path).value.as_deref());
        assert_eq!(value("kafka.brokers"), (Origin::File, Some("a:1")));
        assert!(
            of("kafka.brokers")
                .place
                .as_ref()
                .unwrap()
                .ends_with(":2:11")
        );
        assert_eq!(value("log.filter"), (Origin::Variable, Some("debug")));
        assert_eq!(value("log.format"), (Origin::Default, Some("human")));
        assert_eq!(value("admin.token"), (Origin::Unset, None));
        assert_eq!(value("redis.password"), (Origin::File, Some("[redacted]")));
        let hidden = "ssl.key.password = [redacted]";
        assert_eq!(value("kafka.properties"), (Origin::File, Some(hidden)));
        assert!(!serde_json::to_string(&all).unwrap().contains("hunter2"));
    }
}
