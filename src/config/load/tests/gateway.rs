use super::*;

const TOKENS: &str = "[live.auth]\nalgorithm = \"HS256\"\nkey = \"0123456789abcdef0123456789abcdef\"\nissuer = \"i\"\n";
const KEY: &str = "abcdefghijklmnopqrstuvwxyz012345";

fn folder(text: &str) -> Folder {
    Folder::with(&[("twolane.toml", text)])
}

fn good(text: &str) -> Settings {
    load_settings(&folder(text).options(&[])).unwrap_or_else(|problems| panic!("{problems}"))
}

fn wrong(lines: &str) -> String {
    let text = format!("{TOKENS}[gateway]\nlisten = \"127.0.0.1:1\"\n{lines}\n");
    match load_settings(&folder(&text).options(&[])) {
        Ok(_) => panic!("{lines} was taken"),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn a_process_that_is_told_no_address_runs_no_gateway() {
    assert!(good("").gateway.is_none());
    assert!(good("[gateway]\nworkers = 3\n").gateway.is_none());
}

#[test]
fn a_gateway_has_its_own_user_its_origins_and_its_keys() {
    let settings = good(&format!(
        "[nats]\nurl = \"nats://a:1\"\nusername = \"worker\"\npassword = \"w\"\n{TOKENS}[gateway]\nlisten = \"127.0.0.1:1\"\n\
         origins = [\"https://Live.example/\", \"http://localhost:3000\"]\nproxies = [\"10.0.0.7\"]\n\
         api_keys = \"{KEY}, {KEY}6\"\nnats_username = \"gateway\"\nnats_password = \"g\"\n"
    ));
    let gateway = settings.gateway.unwrap();
    assert_eq!(
        gateway.origins,
        ["https://live.example", "http://localhost:3000"]
    );
    assert_eq!(
        gateway.proxies,
        ["10.0.0.7".parse::<std::net::IpAddr>().unwrap()]
    );
    let keys: Vec<_> = gateway.api_keys.iter().map(|k| k.expose().len()).collect();
    assert_eq!(keys, [32, 33]);
    let connection = gateway.connection(&settings.nats);
    assert_eq!(connection.username.as_deref(), Some("gateway"));
    assert_eq!(connection.url, "nats://a:1");
    let shown = format!("{gateway:?}");
    assert!(!shown.contains(KEY) && !shown.contains("\"g\""), "{shown}");
}

#[test]
fn what_would_shut_clients_out_is_refused() {
    for (lines, named) in [
        ("idle_timeout = \"10s\"", "gateway.idle_timeout"),
        ("drain = \"20s\"", "gateway.drain"),
        ("origins = [\"*\"]", "gateway.origins"),
        ("origins = [\"https://*.example\"]", "gateway.origins"),
        ("origins = [\"live.example\"]", "gateway.origins"),
        (
            "origins = [\"https://live.example/path\"]",
            "gateway.origins",
        ),
        ("proxies = [\"proxy.local\"]", "gateway.proxies"),
        ("api_keys = \"hunter2\"", "gateway.api_keys"),
        ("nats_username = \"gateway\"", "gateway.nats_password"),
        ("frame_bytes = \"1MiB\"", "gateway.frame_bytes"),
    ] {
        let said = wrong(lines);
        assert!(said.contains(named), "{lines}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let text = "[gateway]\nlisten = \"127.0.0.1:1\"\n";
    let said = load_settings(&folder(text).options(&[]))
        .unwrap_err()
        .to_string();
    assert!(said.contains("[live.auth]"), "{said}");
}
