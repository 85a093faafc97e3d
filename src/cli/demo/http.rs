//! Requests to Elasticsearch and to Connect, which both speak JSON and say in it what is wrong.

use anyhow::{Context as _, bail};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::{ElasticsearchSettings, Secret};

/// How long one request may take: both servers answer within milliseconds unless they are starting.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);
/// The most characters of a server's complaint that are passed on.
const COMPLAINT: usize = 300;

/// A server at a base address.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    base: String,
    auth: Option<Auth>,
}

#[derive(Debug, Clone)]
enum Auth {
    Basic(String, Secret),
    ApiKey(Secret),
}

// === impl Http ===

impl Http {
    /// A server that asks for no credentials.
    ///
    /// # Errors
    /// Where the system gives the client no resources.
    pub fn open(base: &str) -> anyhow::Result<Self> {
        Self::build(Client::builder(), base, None)
    }

    /// Elasticsearch, with the credentials and the authority of the settings.
    ///
    /// # Errors
    /// Where the authority's file cannot be used.
    pub fn elasticsearch(settings: &ElasticsearchSettings) -> anyhow::Result<Self> {
        let mut builder = Client::builder();
        if let Some(file) = &settings.ca_file {
            let pem = std::fs::read(file)
                .with_context(|| format!("cannot read the authority's file {}", file.display()))?;
            let authority = reqwest::Certificate::from_pem(&pem)
                .with_context(|| format!("{} is no certificate in PEM", file.display()))?;
            builder = builder.add_root_certificate(authority);
        }
        let auth = match (&settings.api_key, &settings.username, &settings.password) {
            (Some(key), _, _) => Some(Auth::ApiKey(key.clone())),
            (None, Some(user), Some(password)) => Some(Auth::Basic(user.clone(), password.clone())),
            (None, _, _) => None,
        };
        Self::build(builder, &settings.url, auth)
    }

    fn build(
        builder: reqwest::ClientBuilder,
        base: &str,
        auth: Option<Auth>,
    ) -> anyhow::Result<Self> {
        let client = builder
            .timeout(TIMEOUT)
            // The servers are on this machine: a proxy meant for the internet would not find them.
            .no_proxy()
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
            auth,
        })
    }

    /// The answer to GET.
    ///
    /// # Errors
    /// As [`Http::request`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.request(Method::GET, path, None).await
    }

    /// The answer to POST.
    ///
    /// # Errors
    /// As [`Http::request`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> anyhow::Result<T> {
        self.request(Method::POST, path, Some(body)).await
    }

    /// The answer's JSON.
    ///
    /// # Errors
    /// Where the server cannot be reached, answers with a status other than 2xx (its complaint is in the
    /// message), or with what is not such JSON.
    pub async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<T> {
        let what = format!("{method} {}{path}", self.base);
        match self.send(method, path, body).await? {
            (status, bytes) if status.is_success() => serde_json::from_slice(&bytes)
                .with_context(|| format!("{what}: not the JSON expected")),
            (status, bytes) => bail!("{what}: {status}: {}", complaint(&bytes)),
        }
    }

    /// The answer, whatever its status.
    ///
    /// # Errors
    /// Where the server cannot be reached.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(StatusCode, bytes::Bytes)> {
        let what = format!("{method} {}{path}", self.base);
        let mut request =
            self.authorised(self.client.request(method, format!("{}{path}", self.base)));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| what.clone())?;
        let status = response.status();
        let bytes = response.bytes().await.with_context(|| what)?;
        Ok((status, bytes))
    }

    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.auth {
            None => request,
            Some(Auth::Basic(user, password)) => request.basic_auth(user, Some(password.expose())),
            Some(Auth::ApiKey(key)) => {
                request.header("authorization", format!("ApiKey {}", key.expose()))
            }
        }
    }
}

/// What a server says is wrong, in one line.
pub fn complaint(bytes: &[u8]) -> String {
    let text = match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => [
            &value["error"]["reason"],
            &value["message"],
            &value["error"],
        ]
        .into_iter()
        .find_map(Value::as_str)
        .map_or_else(|| value.to_string(), str::to_owned),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    };
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(COMPLAINT).collect()
}
