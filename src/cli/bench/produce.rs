//! `bench produce`: twolane's producer beside Kafka's own `ProducerPerformance`, and what each codec leaves on the
//! wire.
//!
//! Both send the same values, changes of a user's profile, without keys, into topics of their own on the same
//! broker, by the same settings, and one after the other in turns. Time is from the first record sent to the
//! last acknowledged, which is what the tool measures of itself; the JVM's start is not in it. Bytes are those
//! of the topic's segments: a broker stores a batch as it was sent.

use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::records::{Keys, Records};
use super::stack::{self, say};
use super::topic;
use super::unless_interrupted;
use crate::cli::demo::stack::Stack;
use crate::config::{Properties, Settings};
use crate::produce::{Limits, Outgoing, Producer, Receipt};

/// Values made beforehand, of which both sides take one after another, or at random.
const VALUES: u64 = 20_000;
/// Java's `buffer.memory`, and this side's room.
const QUEUE: usize = 32 << 20;
const RECORDS: u32 = 100_000;
const LINGER: Duration = Duration::from_millis(5);
const DELIVERY: Duration = Duration::from_secs(60);
/// The codecs, those that are compared with first.
const CODECS: [&str; 5] = ["none", "lz4", "snappy", "zstd", "gzip"];

/// Arguments of `bench produce`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Records of each run
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    events: u64,
    /// Records of each codec's run
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    codec_events: u64,
    /// Bytes of a record's value
    #[arg(long, default_value_t = 750, value_parser = clap::value_parser!(u32).range(..=900_000))]
    bytes: u32,
    /// Partitions of the topic
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    partitions: i32,
    /// Turns; the best of each side is compared
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    turns: u32,
    /// Print the figures as JSON on stdout; everything else goes to stderr
    #[arg(long)]
    json: bool,
    /// The local stack's instance
    #[arg(long, default_value = "bench")]
    instance: String,
}

/// One codec's run.
struct Codec {
    name: &'static str,
    bytes: u64,
    per_second: f64,
}

/// Runs the bench.
///
/// # Errors
/// Whatever keeps it from figures.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(unless_interrupted(measure(args)))?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: &Args) -> anyhow::Result<()> {
    let stack = stack::up(&args.instance, &["kafka"]).await?;
    let brokers = stack.get("KAFKA")?.to_owned();
    let values = values(args)?;
    let folder = std::env::temp_dir().join(format!("twolane-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context("cannot make a folder for the values")?;
    let file = folder.join("values");
    std::fs::write(&file, values.join(&b'\n')).context("cannot write the values")?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut codecs = Vec::new();
    let name = |what: &str| format!("bench.produce.{}.{what}", std::process::id());
    let done = async {
        for turn in 1..=args.turns {
            say(&format!("turn {turn}: ProducerPerformance, then twolane"));
            let topic = name(&format!("java-{turn}"));
            topic::make_one(&brokers, &topic, args.partitions).await?;
            theirs.push(java(&stack, &topic, &file, args).await?);
            topic::remove_one(&brokers, &topic).await?;
            let topic = name(&format!("ours-{turn}"));
            topic::make_one(&brokers, &topic, args.partitions).await?;
            ours.push(send(&brokers, "lz4", &topic, &values, args.events).await?);
            topic::remove_one(&brokers, &topic).await?;
        }
        for codec in CODECS {
            say(&format!("bytes with {codec}"));
            let topic = name(codec);
            topic::make_one(&brokers, &topic, args.partitions).await?;
            let per_second = send(&brokers, codec, &topic, &values, args.codec_events).await?;
            let bytes = stored(Path::new(stack.get("KAFKA_DIR")?), &topic)?;
            codecs.push(Codec {
                name: codec,
                bytes,
                per_second,
            });
            topic::remove_one(&brokers, &topic).await?;
        }
        anyhow::Ok(())
    };
    let done = done.await;
    // What went wrong first is what matters.
    let cleaned = std::fs::remove_dir_all(&folder);
    done?;
    cleaned.context("cannot remove the values")?;
    print(args, &ours, &theirs, &codecs);
    Ok(())
}

fn values(args: &Args) -> anyhow::Result<Vec<Vec<u8>>> {
    let records = Records::new(VALUES, Keys::Uniform(VALUES), args.bytes as usize)?;
    let mut key = Vec::new();
    let values = (0..records.len()).map(|n| {
        let mut value = Vec::new();
        records.write(n, &mut key, &mut value);
        value
    });
    Ok(values.collect())
}

/// Sends, waits for every acknowledgement, and gives records a second.
async fn send(
    brokers: &str,
    codec: &str,
    topic: &str,
    values: &[Vec<u8>],
    events: u64,
) -> anyhow::Result<f64> {
    let variables = [("TWOLANE_KAFKA_BROKERS", brokers)];
    let options = crate::config::LoadOptions {
        variables: variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..Default::default()
    };
    let Settings { mut kafka, .. } =
        crate::config::load_settings(&options).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    kafka.properties = Properties::new([("compression.type".to_owned(), codec.to_owned())]);
    let limits = Limits {
        bytes: QUEUE,
        records: RECORDS,
        linger: LINGER,
        delivery: DELIVERY,
    };
    let producer = Arc::new(Producer::new(&kafka, limits)?);
    // The first request learns where the partitions are.
    let (asked, name) = (Arc::clone(&producer), topic.to_owned());
    tokio::task::spawn_blocking(move || asked.partitions(&name, DELIVERY)).await??;
    let (to, mut receipts) = mpsc::channel::<Receipt>(RECORDS as usize);
    let settled = tokio::spawn(async move {
        let mut acknowledged = 0_u64;
        while let Some(receipt) = receipts.recv().await {
            receipt.await?;
            acknowledged += 1;
        }
        anyhow::Ok(acknowledged)
    });
    let begun = Instant::now();
    for value in values.iter().cycle().take(usize::try_from(events)?) {
        let record = Outgoing {
            topic,
            key: None,
            value: Some(value),
            headers: None,
        };
        let receipt = producer.send(record).await?;
        if to.send(receipt).await.is_err() {
            break;
        }
    }
    drop(to);
    let acknowledged = settled.await??;
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(
        acknowledged == events,
        "{acknowledged} of {events} records were acknowledged"
    );
    tokio::task::spawn_blocking(move || drop(producer)).await?;
    Ok(events as f64 / seconds)
}

/// Kafka's own tool by the same settings.
async fn java(stack: &Stack, topic: &str, file: &Path, args: &Args) -> anyhow::Result<f64> {
    let settings = [
        format!("bootstrap.servers={}", stack.get("KAFKA")?),
        "acks=all".to_owned(),
        "enable.idempotence=true".to_owned(),
        "compression.type=lz4".to_owned(),
        "batch.size=262144".to_owned(),
        format!("linger.ms={}", LINGER.as_millis()),
        format!("buffer.memory={QUEUE}"),
    ];
    let output = Command::new(stack.get("JAVA")?)
        .args(["-cp", &format!("{}/*", stack.get("KAFKA_LIBS")?)])
        .arg("org.apache.kafka.tools.ProducerPerformance")
        .args(["--topic", topic, "--num-records", &args.events.to_string()])
        .args(["--throughput", "-1", "--payload-delimiter", "\\n"])
        .arg("--payload-file")
        .arg(file)
        .arg("--command-property")
        .args(settings)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run java")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "ProducerPerformance failed: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    rate(&said).with_context(|| format!("ProducerPerformance says no rate: {said}"))
}

/// The rate of the last line that says how many records were sent: the others are of a while each.
fn rate(said: &str) -> Option<f64> {
    let last = said
        .lines()
        .rfind(|line| line.contains(" records sent, "))?;
    let (before, _) = last.split_once(" records/sec")?;
    before.rsplit(' ').next()?.parse().ok()
}

/// The bytes of a topic's segments.
fn stored(data: &Path, topic: &str) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for folder in std::fs::read_dir(data).context("cannot look at the broker's data")? {
        let folder = folder?;
        let name = folder.file_name();
        let of_topic = name.to_string_lossy();
        let number = of_topic
            .strip_prefix(topic)
            .and_then(|rest| rest.strip_prefix('-'));
        if number.is_none_or(|number| number.parse::<u32>().is_err()) {
            continue;
        }
        for file in std::fs::read_dir(folder.path())? {
            let file = file?;
            if file.path().extension().is_some_and(|e| e == "log") {
                bytes += file.metadata()?.len();
            }
        }
    }
    Ok(bytes)
}

fn best(rates: &[f64]) -> f64 {
    rates.iter().copied().fold(0.0, f64::max)
}

fn print(args: &Args, ours: &[f64], theirs: &[f64], codecs: &[Codec]) {
    let ratio = best(ours) / best(theirs).max(1e-9);
    let plain = codecs.first().map_or(1, |codec| codec.bytes.max(1)) as f64;
    let each = |codec: &Codec| codec.bytes as f64 / args.codec_events as f64;
    if args.json {
        let codecs: Vec<_> = codecs
            .iter()
            .map(|codec| {
                json!({
                    "codec": codec.name,
                    "bytes_per_record": each(codec),
                    "of_none": codec.bytes as f64 / plain,
                    "records_per_s": codec.per_second,
                })
            })
            .collect();
        println!(
            "{}",
            json!({"twolane_per_s": ours, "java_per_s": theirs, "ratio_of_best": ratio, "codecs": codecs})
        );
        return;
    }
    println!(
        "{} records of {} bytes, lz4, acks=all, idempotent, {} partitions",
        args.events, args.bytes, args.partitions
    );
    println!("  twolane             {:>9.0} records/s", best(ours));
    println!("  ProducerPerformance {:>9.0} records/s", best(theirs));
    println!("  ratio               {ratio:>9.2}");
    println!("bytes a record, of {} in batches:", args.bytes);
    for codec in codecs {
        println!(
            "  {:<7} {:>7.1}  {:>5.1} % of none, {:>9.0} records/s",
            codec.name,
            each(codec),
            codec.bytes as f64 / plain * 100.0,
            codec.per_second
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tools_rate_is_that_of_its_last_line() {
        let said = "5 records sent, 1.0 records/sec (0.00 MB/sec), 3 ms avg latency.\n\
                    1000 records sent, 412541.3 records/sec (295.1 MB/sec), 2 ms avg latency, 9 ms max latency, 2 ms 50th.\n";
        assert_eq!(rate(said), Some(412_541.3));
        assert_eq!(rate("nothing"), None);
    }
}
