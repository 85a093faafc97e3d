//! The client of a schema registry (Confluent's API): an Avro schema by the id that a record names, and the
//! schemas of a topic's subject.
//!
//! It promises a difference: a registry that is away, overloaded or refuses the password is
//! [`RegistryError::Away`], which is waited out; one that answers and has no such schema, or has another kind,
//! is [`RegistryError::Unknown`], which is final for the record. It caches nothing; what it answers goes into
//! [`Schemas`](crate::decode::Schemas).

mod subjects;

pub use subjects::{Latest, subject};

use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;

use crate::config::{SchemaRegistrySettings, Secret};
use crate::decode::SchemaId;

/// The most bytes of an answer. The schema of a table with a thousand columns has some 200 KiB.
const MAX_BYTES: usize = 4 << 20;
/// The registry's own code for a schema that it has not; a plain 404 may be anybody's.
const NO_SUCH_SCHEMA: u32 = 40_403;

/// A registry.
pub struct SchemaRegistry {
    client: Client,
    url: String,
    user: Option<(String, Secret)>,
}

/// Why there is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The registry has none of this id that can be used.
    #[error("{0}")]
    Unknown(String),
    /// It may have it; asked again later it will say.
    #[error("{detail}")]
    Away {
        /// What happened.
        detail: String,
        /// Whether it will not mend itself.
        alarm: bool,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    schema: String,
    /// `AVRO` where absent.
    schema_type: Option<String>,
    #[serde(default)]
    references: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Complaint {
    error_code: u32,
}

// === impl SchemaRegistry ===

impl SchemaRegistry {
    /// A client; asks nothing yet.
    ///
    /// # Errors
    /// Where the authority's file cannot be used.
    pub fn new(settings: &SchemaRegistrySettings) -> Result<Self, String> {
        let mut builder = Client::builder().timeout(settings.timeout);
        if is_loopback(&settings.url) {
            builder = builder.no_proxy();
        }
        if let Some(file) = &settings.ca_file {
            let unusable = |why: String| {
                format!(
                    "schema_registry.ca_file {} cannot be used: {why}",
                    file.display()
                )
            };
            let pem = std::fs::read(file).map_err(|e| unusable(e.to_string()))?;
            let authority =
                reqwest::Certificate::from_pem(&pem).map_err(|e| unusable(e.to_string()))?;
            builder = builder.add_root_certificate(authority);
        }
        let client = builder
            .build()
            .map_err(|e| format!("cannot make an HTTP client: {e}"))?;
        Ok(Self {
            client,
            url: settings.url.trim_end_matches('/').to_owned(),
            user: settings.username.clone().zip(settings.password.clone()),
        })
    }

    /// The text of an Avro schema.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn schema(&self, id: SchemaId) -> Result<String, RegistryError> {
        let path = match id {
            SchemaId::Number(id) => format!("schemas/ids/{id}"),
            SchemaId::Guid(_) => {
                let text = id.to_string();
                format!("schemas/guids/{}", text.trim_start_matches("guid "))
            }
        };
        let (status, body) = self.ask(Method::GET, &path, None).await?;
        judge(id, status, &body).map_err(|wrong| self.placed("GET", &path, wrong))
    }

    /// Asks once.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        schema: Option<&str>,
    ) -> Result<(StatusCode, Vec<u8>), RegistryError> {
        let away = |detail: String, alarm| {
            self.placed(method.as_str(), path, RegistryError::Away { detail, alarm })
        };
        let failed = |e: reqwest::Error| away(causes(&e.without_url()), false);
        let mut request = self
            .client
            .request(method.clone(), format!("{}/{path}", self.url))
            .header(
                "accept",
                "application/vnd.schemaregistry.v1+json, application/json",
            );
        if let Some((user, password)) = &self.user {
            request = request.basic_auth(user, Some(password.expose()));
        }
        if let Some(schema) = schema {
            request = request.json(&serde_json::json!({ "schema": schema }));
        }
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BYTES {
                return Err(away(
                    format!("its answer has more than {MAX_BYTES} bytes"),
                    true,
                ));
            }
        }
        Ok((status, body))
    }

    /// With what was asked before what came of it.
    fn placed(&self, method: &str, path: &str, wrong: RegistryError) -> RegistryError {
        match wrong {
            RegistryError::Away { detail, alarm } => RegistryError::Away {
                detail: format!("{method} {}/{path}: {detail}", self.url),
                alarm,
            },
            unknown @ RegistryError::Unknown(_) => unknown,
        }
    }
}

fn judge(id: SchemaId, status: StatusCode, body: &[u8]) -> Result<String, RegistryError> {
    let away = |detail: String, alarm| RegistryError::Away { detail, alarm };
    if status.is_success() {
        let answer: Answer = serde_json::from_slice(body)
            .map_err(|_| away("its answer is not a registry's".to_owned(), true))?;
        let kind = answer.schema_type.as_deref().unwrap_or("AVRO");
        if kind != "AVRO" {
            return Err(RegistryError::Unknown(format!(
                "its schema, {id} of the registry, is not Avro but {kind}"
            )));
        }
        if !answer.references.is_empty() {
            return Err(RegistryError::Unknown(format!(
                "its schema, {id} of the registry, refers to others, which is not read: register it as one"
            )));
        }
        return Ok(answer.schema);
    }
    let complaint = serde_json::from_slice::<Complaint>(body).ok();
    match (status, complaint) {
        (
            StatusCode::NOT_FOUND,
            Some(Complaint {
                error_code: NO_SUCH_SCHEMA,
            }),
        ) => Err(RegistryError::Unknown(format!(
            "its schema, {id}, is not known to the schema registry: it was deleted there, or the record comes from a producer of another registry"
        ))),
        (status, _) => Err(unexpected(status)),
    }
}

/// What an answer means that is none to the question.
fn unexpected(status: StatusCode) -> RegistryError {
    let passes = status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        );
    RegistryError::Away {
        detail: format!("answered {status}"),
        // 401 and 403 are for an operator; any other is no registry's answer to this question.
        alarm: !passes,
    }
}

/// Requests to this machine go to no proxy, whatever the environment says.
fn is_loopback(url: &str) -> bool {
    let url = reqwest::Url::parse(url).ok();
    let host = url.as_ref().and_then(|url| url.host_str());
    let host = host.unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// An error and what is under it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<String, RegistryError> {
        judge(
            SchemaId::Number(7),
            StatusCode::from_u16(status).unwrap(),
            body.as_bytes(),
        )
    }

    #[test]
    fn a_schema_is_the_answers_text() {
        assert_eq!(
            answer(200, r#"{"schema":"\"int\"","guid":"x"}"#),
            Ok("\"int\"".into())
        );
        assert_eq!(
            answer(
                200,
                r#"{"schemaType":"AVRO","schema":"{}","references":[]}"#
            ),
            Ok("{}".into())
        );
    }

    #[test]
    fn what_the_registry_has_not_is_final() {
        for (status, body) in [
            (404, r#"{"error_code":40403,"message":"Schema not found"}"#),
            (200, r#"{"schema":"x","schemaType":"PROTOBUF"}"#),
            (200, r#"{"schema":"x","references":[{"name":"a"}]}"#),
        ] {
            let unknown = answer(status, body);
            assert!(
                matches!(&unknown, Err(RegistryError::Unknown(why)) if why.contains("id 7")),
                "{unknown:?}"
            );
        }
    }

    #[test]
    fn what_may_pass_is_waited_out_and_what_may_not_is_an_alarm() {
        for (status, body, expected) in [
            (500, "", false),
            (503, "{}", false),
            (429, "", false),
            (401, "", true),
            (403, r#"{"error_code":40301}"#, true),
            (404, "<html>", true),
            (404, r#"{"error_code":404}"#, true),
            (200, "<html>", true),
        ] {
            let away = answer(status, body);
            assert!(
                matches!(away, Err(RegistryError::Away { alarm, .. }) if alarm == expected),
                "{status} {body}: {away:?}"
            );
        }
    }
}
