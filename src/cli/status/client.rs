//! Asks an admin address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::{AdminSettings, Secret};

/// Answers come within milliseconds; a process that takes longer is in trouble itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// One admin address.
#[derive(Debug)]
pub(in crate::cli) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<Secret>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

// === impl Client ===

impl Client {
    /// For the process at `asked`, else at the settings' address.
    ///
    /// # Errors
    /// Where that is no address.
    pub(in crate::cli) fn new(
        asked: Option<&str>,
        settings: &AdminSettings,
    ) -> anyhow::Result<Self> {
        let address = match asked {
            Some(address) => address.to_owned(),
            None => here(settings.listen).to_string(),
        };
        let base = Url::parse(&format!("http://{address}/"));
        let base = base.with_context(|| format!("--admin {address:?} is no HOST:PORT"))?;
        let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy();
        Ok(Self {
            http: http.build().context("no HTTP client")?,
            base,
            token: settings.token.clone(),
        })
    }

    /// What a path says, and the same as it was answered. 503 is an answer: not ready.
    ///
    /// # Errors
    /// Where nobody answers, or refuses.
    pub(in crate::cli) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> anyhow::Result<(T, String)> {
        let asked = self.base.join(path)?;
        let mut request = self.http.get(asked.clone());
        // What says who did what is shown with it alone.
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        let answer = request.send().await.map_err(|why| self.nobody(&why))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|why| self.nobody(&why))?;
        if !status.is_success() && status != StatusCode::SERVICE_UNAVAILABLE {
            bail!("{asked}: {}", sentence(&text));
        }
        let read = serde_json::from_str(&text)
            .with_context(|| format!("{asked} answers nothing that this version knows: is it a twolane of another version?"))?;
        Ok((read, text))
    }

    /// Changes something; the segments of the path are escaped.
    ///
    /// # Errors
    /// Where nobody answers, or refuses.
    pub(super) async fn post(&self, path: &[&str]) -> anyhow::Result<String> {
        let (status, text) = self.change(path, None::<&()>, PATIENCE).await?;
        if status.is_success() {
            Ok(text)
        } else {
            Err(anyhow!(
                "{}{}: {}",
                self.base,
                path.join("/"),
                sentence(&text)
            ))
        }
    }

    /// The same with a body, for what may take as long as `patience`; a refusal is an answer.
    ///
    /// # Errors
    /// Where nobody answers.
    pub(in crate::cli) async fn change(
        &self,
        path: &[&str],
        body: Option<&impl Serialize>,
        patience: Duration,
    ) -> anyhow::Result<(StatusCode, String)> {
        let mut asked = self.base.clone();
        if let Ok(mut segments) = asked.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let mut request = self.http.post(asked).timeout(patience);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        let answer = request.send().await.map_err(|why| self.nobody(&why))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|why| self.nobody(&why))?;
        Ok((status, text))
    }

    /// Where it is.
    pub(in crate::cli) fn base(&self) -> &Url {
        &self.base
    }

    fn nobody(&self, why: &reqwest::Error) -> anyhow::Error {
        let why = if why.is_timeout() {
            "no answer in time".to_owned()
        } else {
            "nobody listens there".to_owned()
        };
        anyhow!(
            "{}: {why}. Is `twolane run` at work, and is this its admin.listen? Name another one with --admin HOST:PORT",
            self.base
        )
    }
}

/// An address that listens everywhere is asked on the loopback.
fn here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

/// The sentence of a refusal.
pub(in crate::cli) fn sentence(text: &str) -> String {
    match serde_json::from_str::<Refused>(text) {
        Ok(refused) => refused.error,
        Err(_) => text.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_listens_everywhere_is_asked_here() {
        for (listen, asked) in [
            ("0.0.0.0:9464", "127.0.0.1:9464"),
            ("[::]:1", "[::1]:1"),
            ("10.0.0.5:2", "10.0.0.5:2"),
        ] {
            assert_eq!(here(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
