//! From the settings file and the variables to [`Settings`].

use std::path::{Path, PathBuf};

use super::settings_fields::SETTINGS;
use super::{
    LoadOptions, address, ingest, properties, schema_registry, settings_gateway, settings_live,
};
use crate::config::read::{Field, Heading, Source, Values, did_you_mean};
use crate::config::{
    AdminSettings, ElasticsearchSettings, GroupProtocol, KafkaSettings, LogFormat, LogSettings,
    Place, Problems, ProduceSettings, Properties, RedisSettings, Secret, Settings,
};

/// The file that is read where no other is named, if it is there.
const DEFAULT_FILE: &str = "twolane.toml";
/// The variable that names another file.
pub(super) const FILE_VARIABLE: &str = "TWOLANE_SETTINGS";
/// Every variable of this program begins so.
pub(super) const PREFIX: &str = "TWOLANE_";
/// Variables of the local stack and of the tests, which are no settings.
const OTHERS: [&str; 2] = ["TWOLANE_STACK_", "TWOLANE_TEST_"];

/// A setting's variable: `kafka.brokers` is `TWOLANE_KAFKA_BROKERS`.
pub(crate) fn variable(field: &Field) -> String {
    format!("{PREFIX}{}", field.path.replace('.', "_").to_uppercase())
}

/// Reads and checks the settings. Where something is wrong the result is not to be used.
pub(super) fn load(options: &LoadOptions, problems: &mut Problems) -> Option<Settings> {
    let values = values(options, problems);
    build(&values, options, problems)
}

/// What the settings file and the variables say, before anyone has judged its meaning.
pub(super) fn values(options: &LoadOptions, problems: &mut Problems) -> Values {
    let source = match file(options, problems) {
        Ok(file) => file.and_then(|file| Source::read(&file, problems)),
        Err(Absent) => None,
    };
    let whole = source
        .as_ref()
        .map_or(Place::Default("settings"), |source| source.at(1, 1));
    let mut values = Values::new(&SETTINGS, whole);
    if let Some(source) = &source
        && let Some(table) = source.toml(problems)
    {
        values.read_table(table.get_ref(), source, &Heading::TOP, problems);
    }
    refuse_unknown_variables(options, problems);
    values.read_variables(&options.variables, &options.directory, variable, problems);
    values
}

/// A file was named and is not there.
struct Absent;

fn file(options: &LoadOptions, problems: &mut Problems) -> Result<Option<PathBuf>, Absent> {
    let from_variable = options
        .variables
        .get(FILE_VARIABLE)
        .filter(|text| !text.is_empty());
    let (file, named_by) = match (&options.settings, from_variable) {
        (Some(file), _) => (options.directory.join(file), "--settings"),
        (None, Some(file)) => (options.directory.join(file), FILE_VARIABLE),
        (None, None) => {
            let file = options.directory.join(DEFAULT_FILE);
            return Ok(file.exists().then_some(file));
        }
    };
    if file.exists() {
        return Ok(Some(file));
    }
    problems.add(
        Place::File(file),
        format!("there is no such file, though {named_by} names it"),
    );
    Err(Absent)
}

fn refuse_unknown_variables(options: &LoadOptions, problems: &mut Problems) {
    let known: Vec<String> = SETTINGS.iter().map(variable).collect();
    for name in options.variables.keys() {
        let ours = name.starts_with(PREFIX)
            && !OTHERS.iter().any(|prefix| name.starts_with(prefix))
            && name != FILE_VARIABLE;
        if !ours || known.contains(name) {
            continue;
        }
        let advice = match did_you_mean(
            name,
            known.iter().map(String::as_str).chain([FILE_VARIABLE]),
        ) {
            Some(near) => format!("did you mean {near}?"),
            None => "`twolane reference settings` lists them".to_owned(),
        };
        problems.add(
            Place::Variable(name.clone()),
            format!("no setting has this variable: {advice}"),
        );
    }
}

fn build(values: &Values, options: &LoadOptions, problems: &mut Problems) -> Option<Settings> {
    let kafka = kafka(values, problems);
    let elasticsearch = elasticsearch(values, problems);
    let redis = redis(values, problems);
    let nats = settings_live::nats(values, problems);
    let live = settings_live::live(values, problems);
    let gateway = settings_gateway::read(values, problems);
    let token = admin_token(values, problems);
    let schema_registry = schema_registry::read(values, problems);
    let ingest = ingest::read(values, problems);
    let filter = values.text("log.filter").unwrap_or_default();
    if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&filter) {
        let message = format!("log.filter is not a filter such as \"twolane=debug,info\": {error}");
        problems.add(values.place("log.filter"), message);
    }
    Some(Settings {
        kafka: kafka?,
        elasticsearch: elasticsearch?,
        redis: redis?,
        nats: nats?,
        live: live?,
        gateway: gateway?,
        schema_registry: schema_registry?,
        ingest: ingest?,
        produce: ProduceSettings {
            queue_bytes: values.size("produce.queue_bytes"),
            queue_records: u32::try_from(values.integer("produce.queue_records")).ok()?,
            timeout: values.duration("produce.timeout")?,
        },
        admin: AdminSettings {
            listen: values.address("admin.listen")?,
            token,
            audit_file: values.path("admin.audit_file"),
        },
        log: LogSettings {
            format: match values.text("log.format")?.as_str() {
                "json" => LogFormat::Json,
                _ => LogFormat::Human,
            },
            filter,
        },
        topics_dir: folder(values, "topics_dir", options)?,
        pipelines_dir: folder(values, "pipelines_dir", options)?,
        shutdown: values.duration("shutdown")?,
        stuck_after: values.duration("stuck_after")?,
    })
}

/// A folder as it was written, where its default starts from the working directory.
fn folder(values: &Values, path: &str, options: &LoadOptions) -> Option<PathBuf> {
    let folder = values.path(path)?;
    Some(if values.given(path) {
        folder
    } else {
        options.directory.join(folder)
    })
}

fn kafka(values: &Values, problems: &mut Problems) -> Option<KafkaSettings> {
    let brokers = address::brokers(&values.text("kafka.brokers")?)
        .map_err(|message| problems.add(values.place("kafka.brokers"), message))
        .ok();
    let group_protocol = match values.text("kafka.group_protocol")?.as_str() {
        "consumer" => GroupProtocol::Consumer,
        _ => GroupProtocol::Classic,
    };
    if group_protocol == GroupProtocol::Consumer && values.given("kafka.session_timeout") {
        problems.add(
            values.place("kafka.session_timeout"),
            "kafka.session_timeout goes with group_protocol = \"classic\": with \"consumer\" it is the broker's group.consumer.session.timeout.ms",
        );
    }
    let security_protocol = values.text("kafka.security_protocol")?;
    let password = secret(values, "kafka.password", "kafka.password_file", problems);
    let sasl = security_protocol.starts_with("sasl_");
    for path in [
        "kafka.sasl_mechanism",
        "kafka.username",
        "kafka.password",
        "kafka.password_file",
    ] {
        if values.given(path) && !sasl {
            let message = format!(
                "{path} needs security_protocol = \"sasl_ssl\" (or \"sasl_plaintext\"), which is {security_protocol:?}"
            );
            problems.add(values.place(path), message);
        }
    }
    if sasl {
        let has_password = values.given("kafka.password") || values.given("kafka.password_file");
        let missing: Vec<&str> = [
            ("kafka.sasl_mechanism", values.given("kafka.sasl_mechanism")),
            ("kafka.username", values.given("kafka.username")),
            ("kafka.password (or kafka.password_file)", has_password),
        ]
        .into_iter()
        .filter_map(|(path, given)| (!given).then_some(path))
        .collect();
        if !missing.is_empty() {
            let message = format!(
                "security_protocol = {security_protocol:?} needs {}",
                missing.join(" and ")
            );
            problems.add(values.place("kafka.security_protocol"), message);
        }
    }
    let tls = security_protocol.ends_with("ssl");
    let ca_file = authority(
        values,
        "kafka.ca_file",
        tls,
        "security_protocol = \"ssl\" or \"sasl_ssl\"",
        problems,
    );
    let entries = values.map("kafka.properties");
    properties::check(&entries, group_protocol, problems);
    Some(KafkaSettings {
        brokers: brokers?,
        group_protocol,
        session_timeout: values.duration("kafka.session_timeout")?,
        security_protocol,
        sasl_mechanism: values.text("kafka.sasl_mechanism"),
        username: values.text("kafka.username"),
        password,
        ca_file,
        queue_bytes: values.size("kafka.queue_bytes"),
        properties: Properties::new(
            entries
                .into_iter()
                .map(|entry| (entry.name.value, entry.value.value)),
        ),
    })
}

fn elasticsearch(values: &Values, problems: &mut Problems) -> Option<ElasticsearchSettings> {
    let url = address::http("elasticsearch", &values.text("elasticsearch.url")?)
        .map_err(|message| problems.add(values.place("elasticsearch.url"), message))
        .ok();
    let password = secret(
        values,
        "elasticsearch.password",
        "elasticsearch.password_file",
        problems,
    );
    let api_key = secret(
        values,
        "elasticsearch.api_key",
        "elasticsearch.api_key_file",
        problems,
    );
    let given = |paths: [&'static str; 2]| paths.into_iter().find(|path| values.given(path));
    let has_password = given(["elasticsearch.password", "elasticsearch.password_file"]);
    let has_key = given(["elasticsearch.api_key", "elasticsearch.api_key_file"]);
    let has_user = values
        .given("elasticsearch.username")
        .then_some("elasticsearch.username");
    if let (Some(key), Some(other)) = (has_key, has_user.or(has_password)) {
        let message = format!("{key} and {other} are two ways to log in: keep one");
        problems.add(values.place(key), message);
    }
    pair(values, "elasticsearch", has_user, has_password, problems);
    let tls = url.as_ref().is_some_and(|(_, tls)| *tls);
    let ca_file = authority(
        values,
        "elasticsearch.ca_file",
        tls || url.is_none(),
        "an https:// address",
        problems,
    );
    Some(ElasticsearchSettings {
        url: url?.0,
        username: values.text("elasticsearch.username"),
        password,
        api_key,
        ca_file,
        timeout: values.duration("elasticsearch.timeout")?,
        search_probe: values.duration("elasticsearch.search_probe")?,
    })
}

fn redis(values: &Values, problems: &mut Problems) -> Option<RedisSettings> {
    let url = values.text("redis.url")?;
    let tls = address::redis(&url)
        .map_err(|message| problems.add(values.place("redis.url"), message))
        .ok();
    let password = secret(values, "redis.password", "redis.password_file", problems);
    let has_user = values.given("redis.username");
    let has_password = values.given("redis.password") || values.given("redis.password_file");
    if has_user && !has_password {
        problems.add(
            values.place("redis.username"),
            "redis.username needs redis.password or redis.password_file",
        );
    }
    let ca_file = authority(
        values,
        "redis.ca_file",
        tls.unwrap_or(true),
        "a rediss:// address",
        problems,
    );
    Some(RedisSettings {
        url,
        username: values.text("redis.username"),
        password,
        ca_file,
        timeout: values.duration("redis.timeout")?,
    })
}

/// A short token can be guessed, since whoever reaches the admin address may try as often as they like.
const SHORTEST_TOKEN: usize = 16;

fn admin_token(values: &Values, problems: &mut Problems) -> Option<Secret> {
    let token = secret(values, "admin.token", "admin.token_file", problems)?;
    let place = if values.given("admin.token_file") {
        values.place("admin.token_file")
    } else {
        values.place("admin.token")
    };
    let text = token.expose();
    if text.len() < SHORTEST_TOKEN || !text.bytes().all(|b| b.is_ascii_graphic()) {
        problems.add(
            place,
            format!(
                "the admin token has fewer than {SHORTEST_TOKEN} characters, or some that no header can hold: make one with \
                 `openssl rand -hex 24`"
            ),
        );
        return None;
    }
    Some(token)
}

pub(super) fn pair(
    values: &Values,
    section: &str,
    user: Option<&'static str>,
    password: Option<&'static str>,
    problems: &mut Problems,
) {
    match (user, password) {
        (Some(user), None) => {
            let message = format!("{user} needs {section}.password or {section}.password_file");
            problems.add(values.place(user), message);
        }
        (None, Some(password)) => {
            problems.add(
                values.place(password),
                format!("{password} needs {section}.username"),
            );
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
}

/// A secret, or the first line of the file that holds it. Where one of the two comes from a variable and
/// the other from the settings file, the variable wins.
pub(super) fn secret(
    values: &Values,
    path: &'static str,
    file_path: &'static str,
    problems: &mut Problems,
) -> Option<Secret> {
    let from_variable =
        |path| values.given(path) && matches!(values.place(path), Place::Variable(_));
    let Some(file) = values.path(file_path) else {
        return values.secret(path);
    };
    if values.given(path) {
        match (from_variable(path), from_variable(file_path)) {
            (true, false) => return values.secret(path),
            (false, true) => {}
            (true, true) | (false, false) => {
                let message = format!("{path} and {file_path} say the same thing: keep one");
                problems.add(values.place(file_path), message);
                return None;
            }
        }
    }
    let place = values.place(file_path);
    match std::fs::read_to_string(&file) {
        Ok(text) => match text
            .lines()
            .next()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
        {
            Some(line) if text.trim_end().lines().count() == 1 => Some(Secret::new(line)),
            Some(_) => {
                problems.add(
                    place,
                    format!("{file_path}: {} has more than one line", file.display()),
                );
                None
            }
            None => {
                problems.add(place, format!("{file_path}: {} is empty", file.display()));
                None
            }
        },
        Err(error) => {
            problems.add(
                place,
                format!("{file_path}: {} cannot be read: {error}", file.display()),
            );
            None
        }
    }
}

/// A file with authorities, which only makes sense with TLS.
pub(super) fn authority(
    values: &Values,
    path: &'static str,
    tls: bool,
    needs: &str,
    problems: &mut Problems,
) -> Option<PathBuf> {
    let file = values.path(path)?;
    if !tls {
        problems.add(values.place(path), format!("{path} needs {needs}"));
    }
    if let Err(wrong) = is_pem(&file) {
        problems.add(
            values.place(path),
            format!("{path}: {} {wrong}", file.display()),
        );
    }
    Some(file)
}

fn is_pem(file: &Path) -> Result<(), String> {
    match std::fs::read(file) {
        Ok(bytes) if memchr::memmem::find(&bytes, b"-----BEGIN CERTIFICATE-----").is_some() => {
            Ok(())
        }
        Ok(_) => Err("holds no certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned()),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}
