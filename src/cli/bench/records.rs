//! The records: updates of a user's profile as Debezium writes them without schemas, the same for the same
//! seed on every machine.
//!
//! A row has twenty columns that need no declared type and three that do (a decimal, a date, a datetime), and
//! a text that fills the record up to the size that was asked for. Below 650 bytes that is too much, and a row has
//! eight columns, those three among them.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::ensure;

use crate::cli::demo::rng::Rng;

/// The columns' types for the topic spec.
pub(super) const COLUMNS: &str = r#"
id       = "bigint unsigned"
balance  = "decimal(12,2)"
birthday = "date"
seen     = "datetime(3)"
"#;

/// The index's mapping: what profiles are searched and sorted by; the other columns are in the document and in no
/// index. Without replicas: there is one node.
pub(super) const INDEX: &str = r#"{
  "settings": {"number_of_shards": 1, "number_of_replicas": 0},
  "mappings": {"dynamic": false, "properties": {
    "id": {"type": "keyword"}, "name": {"type": "text"}, "nick": {"type": "keyword"}, "city": {"type": "keyword"},
    "level": {"type": "short"}, "vip": {"type": "byte"}, "birthday": {"type": "date"}, "seen": {"type": "date"}
  }}
}"#;

/// Bytes of a record below which its row has few columns.
const FEW_COLUMNS: usize = 650;

const NAMES: [&str; 8] = [
    "张小明",
    "李思远",
    "Anna Weber",
    "王芳",
    "Yuki Sato",
    "John Smith",
    "陈静怡",
    "Marie Curie",
];
const CITIES: [&str; 6] = ["Shanghai", "北京", "London", "Tokyo", "广州", "Berlin"];
const WORDS: [&str; 12] = [
    "baby", "sleeps", "early", "milk", "喜欢", "music", "travel", "读书", "coffee", "running",
    "photos", "garden",
];
/// When the first change was made by default, in milliseconds since 1970: 2026-11-22.
const BEGIN_MS: u64 = 1_795_305_600_000;

/// A run of records.
#[derive(Debug, Clone)]
pub(super) struct Records {
    events: u64,
    keys: Keys,
    bytes: usize,
    /// When the first change was made, in milliseconds since 1970.
    begin_ms: u64,
}

/// Which row each record changes.
#[derive(Debug, Clone)]
pub(super) enum Keys {
    /// One of so many, each as likely.
    Uniform(u64),
    /// One of many, the n-th of them with a probability in proportion to `1 / n^exponent`: the sums of the
    /// probabilities up to each, not normalized.
    Zipf(Arc<[f64]>),
    /// The next one: no row is changed twice.
    Sequence,
}

// === impl Keys ===

impl Keys {
    /// `keys` rows by Zipf's law. A table of 8 bytes a row.
    pub(super) fn zipf(keys: u64, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=keys).map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        });
        Self::Zipf(sums.collect())
    }

    /// The row that record `n` changes, from 1.
    fn pick(&self, n: u64, rng: &mut Rng) -> u64 {
        match self {
            Self::Uniform(keys) => rng.below(*keys) + 1,
            Self::Zipf(sums) => {
                // 53 bits are what an f64 holds.
                let part = (rng.bits() >> 11) as f64 / (1_u64 << 53) as f64;
                let at = part * sums.last().copied().unwrap_or_default();
                let rank = sums.partition_point(|sum| *sum <= at);
                rank.min(sums.len().saturating_sub(1)) as u64 + 1
            }
            Self::Sequence => n + 1,
        }
    }
}

// === impl Records ===

impl Records {
    /// `events` updates of these rows, each value of `bytes`.
    ///
    /// # Errors
    /// Where a row does not fit into so few bytes.
    pub(super) fn new(events: u64, keys: Keys, bytes: usize) -> anyhow::Result<Self> {
        let records = Self {
            events,
            keys,
            bytes,
            begin_ms: BEGIN_MS,
        };
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for n in 0..events.min(1_000) {
            records.write(n, &mut key, &mut value);
            ensure!(
                value.len() <= bytes,
                "a record of these columns takes {} bytes without any text: ask for --bytes {} or more",
                value.len(),
                value.len().next_multiple_of(50)
            );
        }
        Ok(records)
    }

    /// The same, the first change made now: the lane alarms an operator of changes that are days old.
    pub(super) fn made_now(self) -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self {
            begin_ms: u64::try_from(now.as_millis()).unwrap_or(BEGIN_MS),
            ..self
        }
    }

    /// How many.
    pub(super) fn len(&self) -> u64 {
        self.events
    }

    /// Replaces `key` and `value` by those of record `n`.
    pub(super) fn write(&self, n: u64, key: &mut Vec<u8>, value: &mut Vec<u8>) {
        let mut rng = Rng::new(n.wrapping_mul(0x9e37_79b9_97f4_a7c5));
        let id = self.keys.pick(n, &mut rng);
        key.clear();
        value.clear();
        // Writing into memory cannot fail.
        let _ = write!(key, r#"{{"id":{id}}}"#);
        let _ = self.row(n, id, &mut rng, value);
    }

    fn row(&self, n: u64, id: u64, rng: &mut Rng, out: &mut Vec<u8>) -> std::io::Result<()> {
        let ms = self.begin_ms + n;
        if self.bytes < FEW_COLUMNS {
            write!(
                out,
                r#"{{"before":null,"after":{{"id":{id},"rev":{n},"name":"{}","city":"{}","#,
                rng.pick(&NAMES),
                rng.pick(&CITIES)
            )?;
        } else {
            write!(
                out,
                r#"{{"before":null,"after":{{"id":{id},"rev":{n},"name":"{}","nick":"u{id}","sex":{},"age":{},"city":"{}","level":{},"coins":{},"exp":{},"vip":{},"phone":"138{:08}","fans":{},"follows":{},"likes":{},"posts":{},"lang":"zh","status":"ok","score":{}.5,"#,
                rng.pick(&NAMES),
                rng.below(3),
                rng.between(18, 60),
                rng.pick(&CITIES),
                rng.below(60),
                rng.below(100_000),
                rng.below(1_000_000),
                rng.below(2),
                rng.below(100_000_000),
                rng.below(100_000),
                rng.below(2_000),
                rng.below(1_000_000),
                rng.below(1_000),
                rng.below(100),
            )?;
        }
        write!(
            out,
            r#""balance":"{}","birthday":{},"seen":{},"bio":""#,
            base64(&(rng.below(1 << 31) as u32).to_be_bytes()),
            rng.between(3_650, 18_000),
            ms - rng.below(100_000),
        )?;
        let mut tail = Vec::with_capacity(512);
        write!(
            tail,
            r#""}},"source":{{"version":"3.2.0.Final","connector":"mariadb","name":"app","ts_ms":{ms},"snapshot":"false","db":"app","sequence":null,"ts_us":{ms}000,"ts_ns":{ms}000000,"table":"user_profile","server_id":1,"gtid":"0-1-{n}","file":"binlog.000001","pos":{},"row":0,"thread":null,"query":null}},"transaction":null,"op":"u","ts_ms":{ms}}}"#,
            4 + n * 400,
        )?;
        let mut left = self.bytes.saturating_sub(out.len() + tail.len());
        while left > 0 {
            let word = rng.pick(&WORDS);
            if word.len() < left {
                out.extend_from_slice(word.as_bytes());
                out.push(b' ');
                left -= word.len() + 1;
            } else {
                out.resize(out.len() + left, b'.');
                left = 0;
            }
        }
        out.extend_from_slice(&tail);
        Ok(())
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_json_of_the_size_asked_for_and_the_same_each_time() {
        let records = Records::new(2_000_000, Keys::Uniform(200_000), 750).unwrap();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for n in [0, 1, 77, 1_999_999] {
            records.write(n, &mut key, &mut value);
            assert_eq!(value.len(), 750);
            let read: serde_json::Value = serde_json::from_slice(&value).unwrap();
            let id: serde_json::Value = serde_json::from_slice(&key).unwrap();
            assert_eq!(read["after"]["id"], id["id"]);
            assert_eq!(read["after"].as_object().unwrap().len(), 23);
            let before = value.clone();
            records.write(n, &mut key, &mut value);
            assert_eq!(value, before);
        }
    }

    #[test]
    fn small_records_have_few_columns() {
        let records = Records::new(100, Keys::Sequence, 600).unwrap();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        records.write(5, &mut key, &mut value);
        assert_eq!((value.len(), &*key), (600, &br#"{"id":6}"#[..]));
        let read: serde_json::Value = serde_json::from_slice(&value).unwrap();
        assert_eq!(read["after"].as_object().unwrap().len(), 8);
    }

    #[test]
    fn too_few_bytes_are_refused_with_what_would_do() {
        let why = Records::new(10, Keys::Uniform(10), 300)
            .unwrap_err()
            .to_string();
        assert!(why.contains("--bytes"), "{why}");
    }

    #[test]
    fn by_zipfs_law_the_second_row_is_changed_half_as_often_as_the_first() {
        let keys = Keys::zipf(1_000, 1.0);
        let mut counts = vec![0_u32; 1_001];
        for n in 0..100_000 {
            counts[usize::try_from(keys.pick(n, &mut Rng::new(n))).unwrap()] += 1;
        }
        assert_eq!(counts[0], 0);
        let ratio = f64::from(counts[2]) / f64::from(counts[1]);
        assert!((0.45..0.55).contains(&ratio), "{ratio}");
        // 1 / (1 + 1/2 + … + 1/1000)
        assert!((12_900..13_900).contains(&counts[1]), "{}", counts[1]);
    }
}
