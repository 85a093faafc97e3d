//! One HTTP client for one runtime: sends a request, gives back status and body, and turns whatever keeps an
//! answer from coming into a [`SinkError`] that names the setting to look at.
//!
//! It relies on the official client's transport for connections, TLS and credentials. It never retries,
//! never compresses a request (on a 1 MB body that costs more processor time than the network it saves
//! within one data centre), and never puts a credential into a message: the address that messages show is
//! the configured one, which may hold none.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use elasticsearch::auth::Credentials;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::headers::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use elasticsearch::http::{Method, Url};

use super::failure::{self, ErrorBody};
use crate::config::ElasticsearchSettings;
use crate::sink::SinkError;

/// Where requests go, and as whom.
#[derive(Debug)]
pub(super) struct Client {
    transport: Transport,
    address: String,
    identity: Identity,
    timeout: Duration,
    json: HeaderMap,
    ndjson: HeaderMap,
}

/// As whom requests are sent; for messages.
#[derive(Debug)]
enum Identity {
    Nobody,
    User(String),
    ApiKey,
}

/// A request's body.
#[derive(Debug)]
pub(super) enum Payload {
    /// None.
    Empty,
    /// One JSON value.
    Json(serde_json::Value),
    /// The lines of a bulk request.
    Lines(Bytes),
}

/// What the server answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// The whole body.
    pub(super) body: Bytes,
}

// === impl Client ===

impl Client {
    /// # Errors
    /// [`SinkError::Refused`] naming the setting that cannot be used.
    pub(super) fn new(settings: &ElasticsearchSettings) -> Result<Self, SinkError> {
        let url = address(&settings.url)?;
        let (identity, credentials) = credentials(settings)?;
        let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url.clone()))
            .timeout(settings.timeout)
            .enable_meta_header(false);
        if is_loopback(&url) {
            builder = builder.disable_proxy();
        }
        if let Some(credentials) = credentials {
            builder = builder.auth(credentials);
        }
        if let Some(file) = &settings.ca_file {
            if url.scheme() != "https" {
                return Err(refused(format!(
                    "elasticsearch.ca_file is set, but elasticsearch.url ({url}) is not https: use https, or remove ca_file"
                )));
            }
            let read = std::fs::read(file).map_err(|e| e.to_string());
            let certificate =
                read.and_then(|pem| Certificate::from_pem(&pem).map_err(|e| e.to_string()));
            let certificate = certificate.map_err(|e| {
                refused(format!(
                    "elasticsearch.ca_file {} cannot be used ({e}): name a PEM file with the certificate of the authority that signed the server's",
                    file.display()
                ))
            })?;
            builder = builder.cert_validation(CertificateValidation::Full(certificate));
        }
        let transport = builder.build().map_err(|e| {
            refused(format!(
                "no connection can be made with these elasticsearch settings: {e}"
            ))
        })?;
        Ok(Self {
            transport,
            address: url.as_str().trim_end_matches('/').to_owned(),
            identity,
            timeout: settings.timeout,
            json: headers("application/json"),
            ndjson: headers("application/x-ndjson"),
        })
    }

    /// The server's address, as messages show it.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Sends one request. `path` is encoded, with its query.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] where no complete answer came; whether the request was done is unknown.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        payload: Payload,
    ) -> Result<Answer, SinkError> {
        let (headers, body) = match payload {
            Payload::Empty => (self.json.clone(), None),
            Payload::Json(value) => (self.json.clone(), Some(Bytes::from(value.to_string()))),
            Payload::Lines(lines) => (self.ndjson.clone(), Some(lines)),
        };
        let response = self
            .transport
            .send(method, path, headers, None::<&()>, body, None)
            .await
            .map_err(|e| self.unreachable(&e))?;
        let status = response.status_code().as_u16();
        let body = response.bytes().await.map_err(|e| self.unreachable(&e))?;
        Ok(Answer { status, body })
    }

    /// Sends one request and takes nothing but success for an answer.
    ///
    /// # Errors
    /// Those of [`Client::send`] and [`Client::refusal`].
    pub(super) async fn demand(
        &self,
        method: Method,
        path: &str,
        payload: Payload,
        doing: &str,
    ) -> Result<Bytes, SinkError> {
        let answer = self.send(method, path, payload).await?;
        if (200..300).contains(&answer.status) {
            Ok(answer.body)
        } else {
            Err(self.refusal(&answer, doing))
        }
    }

    /// What an answer that is no success says of the server, the settings or the permissions. It may come
    /// from a proxy, so the body may be anything.
    pub(super) fn refusal(&self, answer: &Answer, doing: &str) -> SinkError {
        let at = &self.address;
        let status = answer.status;
        let error = ErrorBody::read(&answer.body);
        let said = error.as_ref().map_or_else(
            || String::from("without saying why"),
            |e| format!("saying {}", failure::detail(e)),
        );
        let (detail, alarm) = match status {
            401 => (
                match &self.identity {
                    Identity::Nobody => format!(
                        "Elasticsearch at {at} wants credentials (401): set elasticsearch.username and elasticsearch.password, or elasticsearch.api_key"
                    ),
                    Identity::User(user) => format!(
                        "Elasticsearch at {at} does not accept user {user} with this password (401): correct elasticsearch.username and elasticsearch.password"
                    ),
                    Identity::ApiKey => format!(
                        "Elasticsearch at {at} does not accept this API key (401): correct elasticsearch.api_key; it may have been revoked or have expired"
                    ),
                },
                true,
            ),
            403 => (
                format!(
                    "Elasticsearch at {at} forbids {} to {doing} (403), {said}: give it the privileges create_index, manage, read and write on this pipeline's alias and its indices, or lift the block",
                    match &self.identity {
                        Identity::Nobody => String::from("an anonymous user"),
                        Identity::User(user) => format!("user {user}"),
                        Identity::ApiKey => String::from("this API key"),
                    }
                ),
                true,
            ),
            408 | 429 | 500..=599 => (
                format!("Elasticsearch at {at} could not {doing} ({status}), {said}"),
                false,
            ),
            _ if error.is_some() => (
                format!("Elasticsearch at {at} refuses to {doing} ({status}), {said}"),
                true,
            ),
            _ => (
                format!(
                    "{at} answered {status} to a request to {doing}, which Elasticsearch does not: correct elasticsearch.url"
                ),
                true,
            ),
        };
        SinkError::Unavailable { detail, alarm }
    }

    /// An answer that should be JSON and is something else or was cut off.
    pub(super) fn garbled(&self, doing: &str, error: &serde_json::Error) -> SinkError {
        // serde_json's message can quote what it found; the class and the place cannot.
        SinkError::Unavailable {
            detail: format!(
                "the answer of Elasticsearch at {} to a request to {doing} cannot be read ({:?} error at line {} column {})",
                self.address,
                error.classify(),
                error.line(),
                error.column()
            ),
            alarm: false,
        }
    }

    fn unreachable(&self, error: &elasticsearch::Error) -> SinkError {
        let at = &self.address;
        if error.is_timeout() {
            return SinkError::Late(format!(
                "Elasticsearch at {at} did not answer within {:?} (elasticsearch.timeout)",
                self.timeout
            ));
        }
        let mut connecting = false;
        let mut why = String::from("no reason given");
        let mut source = error.source();
        while let Some(cause) = source {
            let mut text = String::new();
            let _ = write!(text, "{cause}");
            connecting |= text.contains("(Connect)");
            why = text;
            source = cause.source();
        }
        let detail = if why.contains("certificate") || why.contains("SSL") || why.contains("ssl") {
            format!(
                "no trusted connection to Elasticsearch at {at} ({why}): check elasticsearch.ca_file and that elasticsearch.url names the host as its certificate does"
            )
        } else if connecting {
            format!(
                "Elasticsearch at {at} cannot be reached ({why}): start it, or correct elasticsearch.url"
            )
        } else {
            format!(
                "the connection to Elasticsearch at {at} broke before the answer was complete ({why})"
            )
        };
        SinkError::Unavailable {
            detail,
            alarm: connecting,
        }
    }
}

/// Encodes one segment of a path.
pub(super) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn headers(content_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Answers are short, and the server would spend its time on compressing them.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
}

fn refused(detail: String) -> SinkError {
    SinkError::Refused(detail)
}

fn address(url: &str) -> Result<Url, SinkError> {
    let parsed = Url::parse(url).map_err(|e| {
        // A text that is no address may still hold a password: it is not shown.
        refused(format!(
            "elasticsearch.url is not an address ({e}): write it as http://host:9200 or https://host:9200"
        ))
    })?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(refused(String::from(
            "elasticsearch.url holds credentials: move them to elasticsearch.username and elasticsearch.password",
        )));
    }
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(refused(format!(
            "elasticsearch.url ({parsed}) is not an http or https address: write it as http://host:9200 or https://host:9200"
        )));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(refused(String::from(
            "elasticsearch.url has a query or a fragment: write only the server's address, with a path if it is behind one",
        )));
    }
    Ok(parsed)
}

fn credentials(
    settings: &ElasticsearchSettings,
) -> Result<(Identity, Option<Credentials>), SinkError> {
    match (&settings.username, &settings.password, &settings.api_key) {
        (None, None, None) => Ok((Identity::Nobody, None)),
        (Some(user), Some(password), None) => Ok((
            Identity::User(user.clone()),
            Some(Credentials::Basic(
                user.clone(),
                password.expose().to_owned(),
            )),
        )),
        (None, None, Some(key)) => {
            // The transport puts it into a header as it is, and panics on what no header can hold.
            let key = key.expose();
            if key.is_empty() || !key.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(refused(String::from(
                    "elasticsearch.api_key is not an API key: give the text called `encoded` when the key was made (base64 of id:key)",
                )));
            }
            Ok((
                Identity::ApiKey,
                Some(Credentials::EncodedApiKey(key.to_owned())),
            ))
        }
        (_, _, Some(_)) => Err(refused(String::from(
            "elasticsearch has both an api_key and a username or password: keep one of the two",
        ))),
        (Some(_), None, None) => Err(refused(String::from(
            "elasticsearch.username is set without elasticsearch.password: set both, or neither",
        ))),
        (None, Some(_), None) => Err(refused(String::from(
            "elasticsearch.password is set without elasticsearch.username: set both, or neither",
        ))),
    }
}

/// Requests to this machine go to no proxy, whatever the environment says.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn settings(url: &str) -> ElasticsearchSettings {
        ElasticsearchSettings {
            url: url.to_owned(),
            username: None,
            password: None,
            api_key: None,
            ca_file: None,
            timeout: Duration::from_secs(1),
            search_probe: Duration::ZERO,
        }
    }

    fn refusal(settings: &ElasticsearchSettings) -> String {
        match Client::new(settings) {
            Err(SinkError::Refused(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused_by_name_and_without_the_secret() {
        let url = refusal(&settings("http://elastic:hunter2@localhost:9200"));
        assert!(
            url.contains("elasticsearch.username") && !url.contains("hunter2"),
            "{url}"
        );
        assert!(refusal(&settings("localhost:9200")).contains("elasticsearch.url"));
        assert!(refusal(&settings("http://localhost:9200/?pretty")).contains("query"));

        let mut key = settings("http://localhost:9200");
        key.api_key = Some(Secret::new("hunter2\n"));
        let text = refusal(&key);
        assert!(
            text.contains("elasticsearch.api_key") && !text.contains("hunter2"),
            "{text}"
        );

        let mut half = settings("http://localhost:9200");
        half.username = Some(String::from("elastic"));
        assert!(refusal(&half).contains("elasticsearch.password"));

        let mut ca = settings("http://localhost:9200");
        ca.ca_file = Some("/nowhere.pem".into());
        assert!(refusal(&ca).contains("not https"));
        ca.url = String::from("https://localhost:9200");
        assert!(refusal(&ca).contains("/nowhere.pem"));
    }

    #[test]
    fn answers_of_servers_that_are_not_elasticsearch_are_unavailable() {
        let mut with_user = settings("http://localhost:9200");
        with_user.username = Some(String::from("elastic"));
        with_user.password = Some(Secret::new("hunter2"));
        let client = Client::new(&with_user).unwrap();
        let refusal = |status, body: &'static str| {
            let answer = Answer {
                status,
                body: Bytes::from_static(body.as_bytes()),
            };
            match client.refusal(&answer, "write documents") {
                SinkError::Unavailable { detail, alarm } => (detail, alarm),
                other => panic!("{other:?}"),
            }
        };
        for (status, alarm) in [
            (301, true),
            (401, true),
            (403, true),
            (404, true),
            (405, true),
        ] {
            assert_eq!(refusal(status, "<html>").1, alarm, "{status}");
        }
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(!refusal(status, "<html><body>Bad gateway").1, "{status}");
        }
        let (text, _) = refusal(
            401,
            r#"{"error":{"type":"security_exception","reason":"x"}}"#,
        );
        assert!(
            text.contains("elasticsearch.password") && !text.contains("hunter2"),
            "{text}"
        );
    }

    #[test]
    fn path_segments_are_encoded() {
        assert_eq!(segment("user_profile-v1.x"), "user_profile-v1.x");
        assert_eq!(segment("a/b?c:d é"), "a%2Fb%3Fc%3Ad%20%C3%A9");
    }
}
