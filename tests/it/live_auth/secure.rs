//! The stack with TLS: the server encrypts its questions too.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions};
use twolane::config::{CalloutSettings, Secret, TokenAlgorithm, TokenSettings};
use twolane::live::auth::{self, Callout, Tokens};

use super::rig::user_id;
use crate::stack::{self, Stack};

async fn connect(stack: &Stack, options: ConnectOptions) -> Result<Client, String> {
    let options = options
        .add_root_certificates(stack.get("CA_FILE").into())
        .custom_inbox_prefix("_INBOX.u1");
    let client = options.connect(stack.get("NATS")).await;
    client.map_err(|error| error.to_string())
}

#[tokio::test]
async fn questions_and_answers_are_encrypted() {
    let stack = stack::secure(&["nats"]);
    assert!(stack.get("NATS").starts_with("tls://"));
    let tokens = TokenSettings {
        algorithm: TokenAlgorithm::Hs256,
        key: Secret::new(stack.get("TOKEN_KEY")),
        issuer: stack.get("TOKEN_ISSUER").to_owned(),
        audience: stack.get("TOKEN_AUDIENCE").to_owned(),
    };
    let settings = CalloutSettings {
        issuer_seed: Secret::new(stack.get("NATS_ISSUER_SEED")),
        account: "USERS".to_owned(),
        services_account: "LIVE".to_owned(),
        xkey_seed: Some(Secret::new(stack.get("NATS_XKEY_SEED"))),
        login: None,
    };
    let callout = Callout::new(&settings, Tokens::new(&tokens).unwrap()).unwrap();
    let callout = Arc::new(callout);
    let login = ConnectOptions::with_user_and_password(
        stack.get("NATS_CALLOUT_USER").to_owned(),
        stack.get("NATS_CALLOUT_PASSWORD").to_owned(),
    );
    let client = connect(&stack, login).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let login = ConnectOptions::with_user_and_password(
        stack.get("NATS_USER").to_owned(),
        stack.get("NATS_PASSWORD").to_owned(),
    );
    let worker = connect(&stack, login).await.unwrap();
    let serving = {
        let callout = Arc::clone(&callout);
        let stop = async {
            let _ = stopped.await;
        };
        tokio::spawn(async move { auth::serve(&worker, client, callout, stop).await })
    };

    let mint = |settings: &TokenSettings| {
        let lifetime = Duration::from_secs(60);
        auth::mint(settings, &user_id("u1"), &[], false, lifetime).unwrap()
    };
    let other = TokenSettings {
        issuer: "evil".to_owned(),
        ..tokens.clone()
    };
    // Until the callout has subscribed, nobody answers and nobody is let in.
    while callout.counts().refused() == 0 {
        let refused = connect(&stack, ConnectOptions::with_token(mint(&other))).await;
        assert!(refused.is_err());
    }
    let user = connect(&stack, ConnectOptions::with_token(mint(&tokens)))
        .await
        .unwrap();
    user.flush().await.unwrap();
    assert_eq!(callout.counts().accepted(), 1);
    assert_eq!(callout.counts().unanswered(), 0);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}
