//! Who is let in, for how long, and by whom.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use twolane::config::TokenSettings;
use twolane::live::auth;

use super::rig::{Server, user_id};
use super::user::User;

const MINUTE: Duration = Duration::from_secs(60);

fn refused(answer: Result<User, String>, what: &str) {
    let why = answer.err().unwrap_or_else(|| panic!("{what} is let in"));
    assert!(why.contains("Authorization Violation"), "{what}: {why}");
}

#[tokio::test]
async fn a_token_is_taken_wherever_a_client_puts_it() {
    let server = Server::start();
    let answering = server.answering().await;
    let token = server.token("u1", &[], MINUTE);
    for options in [
        json!({"auth_token": token}),
        json!({"pass": token, "user": "u1"}),
    ] {
        let user = User::connect_with(server.port(), options.clone()).await;
        let mut user = user.unwrap_or_else(|why| panic!("{options}: {why} {}", server.log()));
        user.subscribe("notify.u1").await.unwrap();
    }
    assert_eq!(answering.callout.counts().accepted(), 2);
    // The server shows whose connection it is, and no token.
    let shown = server.monitor("/connz?auth=1&state=all").await;
    assert!(shown.contains("u1") && !shown.contains(&token), "{shown}");
    assert!(!server.log().contains(&token));
    answering.stop().await.unwrap();
}

#[tokio::test]
async fn nobody_is_let_in_without_a_token_of_ours() {
    let server = Server::start();
    let answering = server.answering().await;
    let tokens = server.tokens();
    let mint = |settings: &TokenSettings| {
        auth::mint(settings, &user_id("u1"), &[], false, MINUTE).unwrap()
    };
    let good = mint(&tokens);
    let before = answering.callout.counts().refused();
    let (head, signature) = good.rsplit_once('.').unwrap();
    let other = |change: fn(&mut TokenSettings)| {
        let mut settings = tokens.clone();
        change(&mut settings);
        json!({"auth_token": mint(&settings)})
    };
    let cases = [
        ("nobody", json!({})),
        ("a word", json!({"auth_token": "x"})),
        (
            "the worker's name without its password",
            json!({"user": "worker"}),
        ),
        ("another user's name", json!({"user": "u2", "pass": good})),
        ("a wrong issuer", other(|s| s.issuer = "evil".to_owned())),
        (
            "a wrong audience",
            other(|s| s.audience = "evil".to_owned()),
        ),
        (
            "another key",
            other(|s| s.key = twolane::config::Secret::new("0".repeat(64))),
        ),
        ("no signature", json!({"auth_token": format!("{head}.")})),
        (
            "an altered token",
            json!({"auth_token": format!("{}A.{signature}", &head[..head.len() - 1])}),
        ),
        (
            "no algorithm",
            json!({"auth_token": format!("eyJhbGciOiJub25lIn0.{}.", head.split_once('.').unwrap().1)}),
        ),
    ];
    let asked = cases.len() as u64 - 1;
    for (what, options) in cases {
        refused(User::connect_with(server.port(), options).await, what);
    }
    // The worker's name is the server's to judge: the callout is not asked.
    assert_eq!(answering.callout.counts().refused() - before, asked);
    assert_eq!(answering.callout.counts().accepted(), 0);
    assert!(User::connect(server.port(), &good).await.is_ok());
}

#[tokio::test]
async fn a_connection_ends_when_its_token_does() {
    let server = Server::start();
    let _answering = server.answering().await;
    let token = server.token("u1", &[], Duration::from_secs(2));
    let began = Instant::now();
    let mut user = User::connect(server.port(), &token).await.unwrap();
    user.subscribe("live.r.feed").await.unwrap();
    let said = user.closed().await;
    let lasted = began.elapsed();
    assert!(said.contains("User Authentication Expired"), "{said}");
    // To the second, and the whole second above.
    assert!(
        lasted > Duration::from_millis(900) && lasted < Duration::from_secs(5),
        "{lasted:?}"
    );
    refused(
        User::connect(server.port(), &token).await,
        "an expired token",
    );
}

#[tokio::test]
async fn two_processes_share_the_questions_and_either_is_enough() {
    let server = Server::start();
    let first = server.answering().await;
    let second = server.answering().await;
    for i in 0..60 {
        server.user(&format!("u{i}")).await;
    }
    let (one, two) = (
        first.callout.counts().accepted(),
        second.callout.counts().accepted(),
    );
    assert_eq!(one + two, 60, "each question was answered once");
    assert!(one > 0 && two > 0, "{one} {two}");
    first.stop().await.unwrap();
    for i in 0..10 {
        server.user(&format!("u{i}")).await;
    }
    assert_eq!(second.callout.counts().accepted(), two + 10);
}

#[tokio::test]
async fn without_a_callout_nobody_is_let_in_and_workers_still_are() {
    let server = Server::start();
    let answering = server.answering().await;
    let token = server.token("u1", &[], MINUTE);
    assert!(User::connect(server.port(), &token).await.is_ok());
    answering.stop().await.unwrap();
    let began = Instant::now();
    let answer = User::connect(server.port(), &token).await;
    assert!(answer.is_err(), "it is let in without being asked about");
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    server.worker().await.flush().await.unwrap();
    let _answering = server.answering().await;
    assert!(User::connect(server.port(), &token).await.is_ok());
}

#[tokio::test]
async fn users_are_not_placed_among_the_workers() {
    let server = Server::start();
    let worker = server.worker().await;
    let mut settings = server.callout_settings();
    settings.account = "LIVE".to_owned();
    let tokens = auth::Tokens::new(&server.tokens()).unwrap();
    let callout = Arc::new(auth::Callout::new(&settings, tokens).unwrap());
    let served = auth::serve(&worker, worker.clone(), callout, std::future::pending()).await;
    let why = served.unwrap_err().to_string();
    assert!(why.contains("an account of their own"), "{why}");
}

#[tokio::test]
async fn a_restart_of_the_server_leaves_the_callout_answering() {
    let mut server = Server::start();
    let answering = server.answering().await;
    server.user("u1").await;
    server.crash();
    server.again();
    let token = server.token("u1", &[], MINUTE);
    let end = Instant::now() + Duration::from_secs(30);
    while let Err(why) = User::connect(server.port(), &token).await {
        assert!(Instant::now() < end, "{why}");
    }
    answering.stop().await.unwrap();
}

#[tokio::test]
async fn a_token_is_minted_where_the_key_that_signs_is() {
    let server = Server::start();
    let _answering = server.answering().await;
    let tokens = server.tokens();
    let twolane = |arguments: &[&str], variables: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_twolane"))
            .current_dir(folder.path())
            .env_clear()
            .envs(variables.iter().copied())
            .arg("token")
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
        match output.status.success() {
            true => Ok(text(output.stdout)),
            false => Err(text(output.stderr)),
        }
    };
    let variables = [
        ("TWOLANE_LIVE_AUTH_ALGORITHM", "HS256"),
        ("TWOLANE_LIVE_AUTH_KEY", tokens.key.expose()),
        ("TWOLANE_LIVE_AUTH_ISSUER", &tokens.issuer),
    ];
    let token = twolane(
        &["--user", "u1", "--moderates", "r", "--for", "5m"],
        &variables,
    );
    let mut user = User::connect(server.port(), &token.unwrap()).await.unwrap();
    user.publish("live.r.ctl.u1", "{}").await.unwrap();
    assert!(user.publish("live.r2.ctl.u1", "{}").await.is_err());

    let why = twolane(&["--user", "u1"], &[]).unwrap_err();
    assert!(why.contains("live.auth.key"), "{why}");
    for user in [
        "*",
        ">",
        "a.b",
        "a b",
        "",
        "a\r\nb",
        "feed",
        &"a".repeat(10_240),
    ] {
        assert!(twolane(&["--user", user], &variables).is_err(), "{user}");
    }
}
