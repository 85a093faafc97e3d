//! `twolane dead show`: everything of one letter, and of no other.

use std::io::{self, Write};

use anyhow::bail;

use super::Whose;
use crate::config::Config;
use crate::dead::{At, DeadTopic, Letter, LetterView, Redactor, text};
use crate::sink::dead_letter::dead_topic;

/// Arguments of `dead show`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The letter, as `twolane dead list` names it
    letter: At,
    #[command(flatten)]
    whose: Whose,
    /// Write the value's bytes as they are, and nothing else
    #[arg(long)]
    raw: bool,
    /// Print it as one JSON object; what is no text is in hexadecimal
    #[arg(long, conflicts_with = "raw")]
    json: bool,
}

/// Prints the letter.
pub(super) async fn run(args: &Args, config: &Config) -> anyhow::Result<()> {
    let source = args.whose.one_topic(config)?;
    let Some(mut topic) = DeadTopic::open(&config.settings.kafka, &source)? else {
        bail!(
            "there is no letter {}: there is no topic {}",
            args.letter,
            dead_topic(&source)
        );
    };
    topic.start_at(&[args.letter])?;
    let letter = topic.next().await?.filter(|l| l.at == args.letter);
    let Some(letter) = letter else {
        bail!(
            "there is no letter {} in {} any more",
            args.letter,
            topic.name
        );
    };
    let mut out = io::stdout().lock();
    if args.json {
        let view = LetterView::new(&letter, &topic.name, &Redactor::default(), false);
        serde_json::to_writer_pretty(&mut out, &view).map_err(io::Error::from)?;
        writeln!(out)?;
    } else if !args.raw {
        print(&letter, &topic.name, &mut out)?;
    } else if let Some(value) = &letter.value {
        out.write_all(value)?;
    } else {
        bail!("letter {} has no value: {}", letter.at, absent(&letter));
    }
    out.flush()?;
    Ok(())
}

/// Why there is no value.
fn absent(letter: &Letter) -> String {
    match letter.about.omitted {
        Some(bytes) => format!("omitted, since its {bytes} bytes did not fit the topic"),
        None => String::from("null, as in the record"),
    }
}

fn print(letter: &Letter, topic: &str, out: &mut impl Write) -> io::Result<()> {
    let about = &letter.about;
    writeln!(out, "letter     {} of {topic}", letter.at)?;
    let mut put = |name: &str, value: &str| writeln!(out, "{name:9}  {}", text::line(value));
    put("rejected", &text::time(about.time_ms))?;
    put("branch", &about.branch())?;
    put("reason", &about.reason)?;
    put("detail", &about.detail)?;
    let record = format!(
        "{}, of {}",
        about.source(),
        text::time(about.record_time_ms)
    );
    put("record", &record)?;
    match about.version {
        Some(version) => put(
            "version",
            &format!("{version} (epoch {})", version.epoch_bits()),
        )?,
        None => put("version", "-")?,
    }
    for (name, value) in &letter.headers {
        let shown = value
            .as_ref()
            .map_or_else(|| String::from("null"), |v| text::value(v));
        put("header", &format!("{name} = {shown}"))?;
    }
    let mut block = |name: &str, bytes: Option<&[u8]>, absent: &str| match bytes {
        None => writeln!(out, "{name:9}  {absent}"),
        Some(bytes) => {
            let (what, shown) = text::body(bytes);
            writeln!(out, "{name:9}  {} bytes, {what}\n{shown}", bytes.len())
        }
    };
    block("key", letter.key.as_deref(), "null")?;
    block("value", letter.value.as_deref(), &absent(letter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead::About;
    use crate::event::Version;

    #[test]
    fn everything_of_a_letter_is_shown() {
        let letter = Letter {
            at: "7".parse().unwrap(),
            key: Some(br#"{"id":1}"#.to_vec()),
            value: None,
            headers: vec![
                (String::from("mine"), Some(b"1\x1b".to_vec())),
                (String::from("none"), None),
            ],
            about: About {
                reason: String::from("malformed"),
                detail: String::from("line 1\nline 2"),
                pipeline: String::from("p"),
                sink: String::from("s"),
                topic: String::from("t"),
                partition: Some(1),
                offset: Some(2),
                version: Some(Version::from_raw((3 << 48) | 3)),
                time_ms: Some(1_800_000_000_000),
                record_time_ms: Some(1_700_000_000_000),
                omitted: Some(99),
            },
        };
        let mut out = Vec::new();
        print(&letter, "t.dead", &mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        let expected = [
            "letter     7 of t.dead",
            "rejected   2027-01-15T08:00:00Z",
            "branch     p.s",
            "reason     malformed",
            "detail     line 1\\u{a}line 2",
            "record     t/1/2, of 2023-11-14T22:13:20Z",
            "version    844424930131971 (epoch 3)",
            "header     mine = 1\\u{1b}",
            "header     none = null",
            "key        8 bytes, JSON",
            "{",
            "  \"id\": 1",
            "}",
            "value      omitted, since its 99 bytes did not fit the topic",
            "",
        ];
        assert_eq!(shown, expected.join("\n"));
    }
}
