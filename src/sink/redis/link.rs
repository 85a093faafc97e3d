//! One connection to Redis, made when it is first needed and again after it broke.
//!
//! It promises that whoever holds a [`Wire`] got it after the [`Memory`] heard which server is at its other end,
//! and that what is sent over it is executed in order. It never sends anything twice.

use std::sync::Arc;

use ::redis::aio::MultiplexedConnection;
use ::redis::io::tcp::TcpSettings;
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline,
    RedisError, ServerError, TlsCertificates, Value,
};
use tokio::sync::Mutex;

use super::check::Info;
use super::memory::{Memory, Server};
use super::scripts;
use super::trouble::{self, Cure};
use crate::config::RedisSettings;
use crate::sink::SinkError;

/// What every connection of one sink shares.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) settings: RedisSettings,
    pub(super) memory: Memory,
}

/// A connection that mends itself at the next use.
#[derive(Debug)]
pub(super) struct Link {
    shared: Arc<Shared>,
    slot: Mutex<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    made: u64,
    open: Option<MultiplexedConnection>,
}

/// An open connection.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    number: u64,
    connection: MultiplexedConnection,
}

/// A client for these settings. Nothing is connected.
///
/// # Errors
/// [`SinkError::Refused`] where the address, its credentials or the CA file cannot be used.
pub(crate) fn client(settings: &RedisSettings) -> Result<Client, SinkError> {
    let refused = |what: String| SinkError::Refused(what);
    // The address itself is not repeated: it might hold a password after all.
    let info: ConnectionInfo = settings.url.as_str().into_connection_info().map_err(|_| {
        refused(
            "redis.url is no address of Redis: write redis://host:port/db, or rediss:// for TLS"
                .into(),
        )
    })?;
    if info.redis_settings().username().is_some() || info.redis_settings().password().is_some() {
        return Err(refused(
            "redis.url holds credentials: set redis.username and redis.password instead, which no print shows"
                .into(),
        ));
    }
    let mut login = info.redis_settings().clone().set_skip_set_lib_name();
    if let Some(username) = &settings.username {
        login = login.set_username(username);
    }
    if let Some(password) = &settings.password {
        login = login.set_password(password.expose());
    }
    // A pipeline is one piece, and its last packet must not wait for an acknowledgement.
    let tcp = TcpSettings::default().set_nodelay(true);
    let info = info.set_redis_settings(login).set_tcp_settings(tcp);

    let tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    let Some(file) = &settings.ca_file else {
        return Client::open(info).map_err(|e| refused(format!("redis.url: {e}")));
    };
    if !tls {
        return Err(refused(
            "redis.ca_file is set, but redis.url does not ask for TLS: write rediss://, or leave the file out"
                .into(),
        ));
    }
    let pem = std::fs::read(file).map_err(|e| {
        refused(format!(
            "redis.ca_file {} cannot be read: {e}",
            file.display()
        ))
    })?;
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: Some(pem),
    };
    Client::build_with_tls(info, certificates).map_err(|e| {
        refused(format!(
            "redis.ca_file {} holds no certificate in PEM: {e}",
            file.display()
        ))
    })
}

// === impl Link ===

impl Link {
    /// Not connected yet.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            slot: Mutex::default(),
        }
    }

    /// What all links share.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The open connection, or a new one.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] where none can be made, [`SinkError::Refused`] where the server is too old.
    pub(super) async fn wire(&self) -> Result<Wire, SinkError> {
        let mut slot = self.slot.lock().await;
        let connection = match &slot.open {
            Some(open) => open.clone(),
            None => {
                let open = self.open().await?;
                slot.made += 1;
                slot.open.insert(open).clone()
            }
        };
        Ok(Wire {
            number: slot.made,
            connection,
        })
    }

    /// Sends a pipeline and gives its answers, one for each command; an error answer is a value among them.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] where they did not come; any command may have been executed.
    pub(super) async fn send(
        &self,
        wire: &Wire,
        pipeline: &Pipeline,
        doing: &str,
    ) -> Result<Vec<Value>, SinkError> {
        let mut connection = wire.connection.clone();
        let sent = exchange(&mut connection, pipeline).await;
        match sent {
            Ok(values) => {
                if values.iter().any(|value| {
                    matches!(value, Value::ServerError(e) if trouble::cure(e.code()) == Cure::Reconnect)
                }) {
                    self.close(wire).await;
                }
                Ok(values)
            }
            Err(error) => {
                self.close(wire).await;
                Err(trouble::failed(&error, doing, &self.shared.settings))
            }
        }
    }

    /// Puts the scripts back.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub(super) async fn load(&self, wire: &Wire) -> Result<(), SinkError> {
        let doing = "loading the scripts into Redis";
        let mut pipeline = Pipeline::new();
        scripts::load(&mut pipeline);
        for value in self.send(wire, &pipeline, doing).await? {
            self.unless_refused(&value, doing)?;
        }
        Ok(())
    }

    /// # Errors
    /// The sink's error where the answer is one.
    pub(super) fn unless_refused(&self, value: &Value, doing: &str) -> Result<(), SinkError> {
        match value {
            Value::ServerError(e) => Err(self.refusal(e, doing)),
            _ => Ok(()),
        }
    }

    /// The sink's error for an error answer.
    pub(super) fn refusal(&self, error: &ServerError, doing: &str) -> SinkError {
        trouble::refused_by_server(error, doing, &self.shared.settings)
    }

    async fn close(&self, wire: &Wire) {
        let mut slot = self.slot.lock().await;
        if slot.made == wire.number {
            slot.open = None;
        }
    }

    async fn open(&self) -> Result<MultiplexedConnection, SinkError> {
        let doing = "connecting to Redis";
        let settings = &self.shared.settings;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.timeout))
            .set_response_timeout(Some(settings.timeout));
        let mut connection = self
            .shared
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|e| trouble::failed(&e, doing, settings))?;

        let mut pipeline = Pipeline::new();
        pipeline.cmd("INFO").arg("server");
        pipeline.cmd("INFO").arg("replication");
        scripts::load(&mut pipeline);
        let answers = exchange(&mut connection, &pipeline)
            .await
            .map_err(|e| trouble::failed(&e, doing, settings))?;
        let mut answers = answers.iter();
        let info = Info::of(answers.by_ref().take(2));
        info.new_enough()?;
        for loaded in answers {
            self.unless_refused(loaded, doing)?;
        }
        self.shared.memory.connected(server(&info));
        Ok(connection)
    }
}

async fn exchange(
    connection: &mut MultiplexedConnection,
    pipeline: &Pipeline,
) -> Result<Vec<Value>, RedisError> {
    connection
        .send_packed_commands(pipeline, 0, pipeline.len())
        .await
}

/// `None` where INFO is not allowed or hides it.
fn server(info: &Info) -> Option<Server> {
    Some(Server {
        run_id: info.get("run_id")?.to_owned(),
        replication_id: info.get("master_replid")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use std::time::Duration;

    fn settings(url: &str) -> RedisSettings {
        RedisSettings {
            url: url.into(),
            username: None,
            password: None,
            ca_file: None,
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn credentials_in_the_address_are_refused_without_repeating_them() {
        for url in [
            "redis://:hunter2@127.0.0.1/",
            "redis://hunter2@127.0.0.1/",
            "http://u:hunter2@h",
        ] {
            let error = client(&settings(url)).unwrap_err().to_string();
            assert!(
                error.contains("redis.url") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_ca_file_without_tls_and_one_that_is_none_are_refused() {
        let mut plain = settings("redis://127.0.0.1/");
        plain.ca_file = Some("/dev/null".into());
        assert!(
            client(&plain)
                .unwrap_err()
                .to_string()
                .contains("rediss://")
        );
        plain.url = "rediss://127.0.0.1/".into();
        assert!(client(&plain).unwrap_err().to_string().contains("PEM"));
    }

    #[test]
    fn no_print_of_the_client_shows_the_password() {
        let mut with = settings("redis://127.0.0.1/");
        with.password = Some(Secret::new("hunter2"));
        let client = client(&with).unwrap();
        assert!(!format!("{client:?}").contains("hunter2"));
    }
}
