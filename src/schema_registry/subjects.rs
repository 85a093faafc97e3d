//! The schemas of a subject: found, looked at and registered.

use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::{Complaint, RegistryError, SchemaRegistry, unexpected};

/// The registry's codes for what is not there.
const NO_SUCH_SUBJECT: u32 = 40_401;
const NO_SUCH_SCHEMA: u32 = 40_403;

/// The newest schema of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    /// Its number in the registry.
    pub id: u32,
    /// Its number in the subject, from 1.
    pub version: u32,
    /// Its text.
    pub schema: String,
}

#[derive(Deserialize)]
struct Versioned {
    id: u32,
    version: u32,
    schema: String,
}

#[derive(Deserialize)]
struct Registered {
    id: u32,
}

/// The subject of a topic's values, by the usual rule (`TopicNameStrategy`).
pub fn subject(topic: &str) -> String {
    format!("{topic}-value")
}

// === impl SchemaRegistry ===

impl SchemaRegistry {
    /// The number of this very schema in a subject; `None` where the subject has it not.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn find(&self, subject: &str, schema: &str) -> Result<Option<u32>, RegistryError> {
        let path = format!("subjects/{subject}");
        let (status, body) = self.ask(Method::POST, &path, Some(schema)).await?;
        let found: Option<Registered> =
            answer(status, &body).map_err(|wrong| self.placed("POST", &path, wrong))?;
        Ok(found.map(|found| found.id))
    }

    /// The newest schema of a subject; `None` for no such subject.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn latest(&self, subject: &str) -> Result<Option<Latest>, RegistryError> {
        let path = format!("subjects/{subject}/versions/latest");
        let (status, body) = self.ask(Method::GET, &path, None).await?;
        let found: Option<Versioned> =
            answer(status, &body).map_err(|wrong| self.placed("GET", &path, wrong))?;
        Ok(found.map(|found| Latest {
            id: found.id,
            version: found.version,
            schema: found.schema,
        }))
    }

    /// Registers a schema; one that is there already keeps its number.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] where the registry takes it not, with the reason.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let path = format!("subjects/{subject}/versions");
        let (status, body) = self.ask(Method::POST, &path, Some(schema)).await?;
        let made: Option<Registered> =
            answer(status, &body).map_err(|wrong| self.placed("POST", &path, wrong))?;
        let made = made.ok_or_else(|| self.placed("POST", &path, unexpected(status)))?;
        Ok(made.id)
    }
}

/// `None` where the registry says that there is none.
fn answer<T: for<'de> Deserialize<'de>>(
    status: StatusCode,
    body: &[u8],
) -> Result<Option<T>, RegistryError> {
    if status.is_success() {
        let read = serde_json::from_slice(body).map_err(|_| RegistryError::Away {
            detail: "its answer is not a registry's".to_owned(),
            alarm: true,
        })?;
        return Ok(Some(read));
    }
    let code = serde_json::from_slice::<Complaint>(body).ok();
    match (status, code.map(|complaint| complaint.error_code)) {
        (StatusCode::NOT_FOUND, Some(NO_SUCH_SUBJECT | NO_SUCH_SCHEMA)) => Ok(None),
        (StatusCode::CONFLICT, _) => Err(RegistryError::Unknown(
            "the schema registry refuses the schema as incompatible with those before it: its own compatibility rule for the subject is stricter than the topic's, or has a schema in between".to_owned(),
        )),
        (StatusCode::UNPROCESSABLE_ENTITY, _) => Err(RegistryError::Unknown(
            "the schema registry does not take the schema for Avro".to_owned(),
        )),
        (status, _) => Err(unexpected(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(status: u16, body: &str) -> Result<Option<u32>, RegistryError> {
        let status = StatusCode::from_u16(status).unwrap();
        answer::<Registered>(status, body.as_bytes()).map(|found| found.map(|found| found.id))
    }

    #[test]
    fn what_is_not_there_is_no_error_and_what_is_refused_is_final() {
        assert_eq!(found(200, r#"{"id":7,"version":1}"#), Ok(Some(7)));
        for code in [40_401, 40_403] {
            assert_eq!(found(404, &format!(r#"{{"error_code":{code}}}"#)), Ok(None));
        }
        for status in [409, 422] {
            let refused = found(status, r#"{"error_code":409}"#);
            assert!(
                matches!(refused, Err(RegistryError::Unknown(_))),
                "{refused:?}"
            );
        }
        for (status, body, expected) in [(503, "", false), (401, "", true), (404, "<html>", true)] {
            let away = found(status, body);
            assert!(
                matches!(away, Err(RegistryError::Away { alarm, .. }) if alarm == expected),
                "{away:?}"
            );
        }
    }
}
