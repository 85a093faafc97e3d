//! Rows for the demo's table: people as a community of parents has them, and now and then a value at the
//! edge of what its column takes.
//!
//! A row follows [`super::table::COLUMNS`]. Values that two readings of the same database disagree about are
//! never made: years of 0000 (they stop Debezium's snapshot), datetimes in the ten days that October 1582
//! lost, floats of more than six digits (a snapshot reads no more).

use mysql_async::Value;

use super::rng::Rng;
use super::table::{GENDERS, INTERESTS};

const SURNAMES: [&str; 16] = [
    "王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "欧阳", "司马", "𠮷田", "徐", "孙",
    "马",
];
const GIVEN: [&str; 16] = [
    "伟", "芳", "娜", "秀英", "敏", "静", "丽", "强", "磊", "洋", "子涵", "梓萱", "雨桐", "一诺",
    "浩然", "欣怡",
];
const FIRST: [&str; 16] = [
    "Emma",
    "Olivia",
    "Liam",
    "Noah",
    "Zoë",
    "Chloé",
    "Siobhán",
    "Jürgen",
    "Mary-Jane",
    "Ava",
    "Oliver",
    "Grace",
    "Henry",
    "Björk",
    "Renée",
    "Jack",
];
const LAST: [&str; 12] = [
    "Smith",
    "O'Brien",
    "Johnson",
    "Müller",
    "García",
    "Nuñez",
    "Taylor",
    "D’Angelo",
    "Brown",
    "Lee",
    "Wilson",
    "van der Berg",
];
const EMOJI: [&str; 12] = [
    "🌸",
    "🍼",
    "👶🏽",
    "🐼",
    "✨",
    "👨‍👩‍👧‍👦",
    "🧸",
    "🎈",
    "🇨🇳",
    "❤️",
    "🌙",
    "🦄",
];
const CITIES: [&str; 14] = [
    "上海",
    "北京",
    "成都",
    "广州",
    "乌鲁木齐",
    "香港",
    "London",
    "São Paulo",
    "Zürich",
    "Reykjavík",
    "New York",
    "Kraków",
    "東京",
    "Saint-Étienne",
];
const BIOS: [&str; 10] = [
    "",
    "新手妈妈,宝宝三个月啦 🍼",
    "Two kids, one cat, no sleep.",
    "line one\nline two\r\n\tindented",
    "she said \"ten more minutes\" \\ and slept",
    "null",
    "{\"not\": \"an object\"}",
    "零宽\u{200b}空格 and \u{2028} a line separator and \u{1} a control character",
    "宝爸一枚,周末带娃爬山,平时写代码。",
    "  spaces around  ",
];
const THEMES: [&str; 3] = ["dark", "light", "自动"];
/// The first 31 days of every month exist in no table; 28 do.
const DAYS: i64 = 28;

/// A row's values, in the order of the table's columns.
pub fn person(rng: &mut Rng, id: u64, rev: u64) -> Vec<Value> {
    if rng.one_in(100) {
        return extreme(rng, id, rev);
    }
    let chinese = rng.one_in(2);
    let name = if chinese {
        format!("{}{}", rng.pick(&SURNAMES), rng.pick(&GIVEN))
    } else {
        format!("{} {}", rng.pick(&FIRST), rng.pick(&LAST))
    };
    let joined = rng.between(2009, 2026);
    let row = vec![
        id.into(),
        rev.into(),
        nickname(rng).into(),
        name.into(),
        rng.pick(&GENDERS).into(),
        format!("{}-{}", rng.between(1960, 2008), month_day(rng)).into(),
        due_at(rng).into(),
        phone(rng, chinese).into(),
        format!("user{}@example.{}", id, rng.pick(&["com", "cn", "org"])).into(),
        password_hash(rng).into(),
        rng.pick(&CITIES).into(),
        rng.pick(&BIOS).into(),
        balance(rng).into(),
        score(rng).into(),
        // Six digits at most.
        format!("{}.{}", rng.between(140, 199), rng.below(100)).into(),
        rng.below(100).into(),
        rng.below(2).into(),
        rng.below(256).into(),
        interests(rng).into(),
        preferences(rng).into(),
        bytes(rng, 64).into(),
        rng.below(5_000).into(),
        rng.below(100_000).into(),
        rng.below(1_440).into(),
        format!("{:02}:{:02}:00", rng.between(18, 23), rng.below(60)).into(),
        moment(rng, 2026, 6).into(),
        moment(rng, joined, 3).into(),
        moment(rng, 2026, 6).into(),
        joined.into(),
    ];
    row.into_iter()
        .enumerate()
        .map(|(i, value)| {
            if i > 1 && rng.one_in(12) {
                Value::NULL
            } else {
                value
            }
        })
        .collect()
}

/// A nickname, perhaps with emoji.
pub fn nickname(rng: &mut Rng) -> String {
    let name = if rng.one_in(2) {
        rng.pick(&GIVEN)
    } else {
        rng.pick(&FIRST)
    };
    match rng.below(4) {
        0 => format!("{}{name}", rng.pick(&EMOJI)),
        1 => format!("{name}妈妈{}", rng.pick(&EMOJI)),
        2 => format!("{name}_{}", rng.below(10_000)),
        _ => name.to_owned(),
    }
}

/// A city.
pub fn city(rng: &mut Rng) -> &'static str {
    rng.pick(&CITIES)
}

/// An amount of money, as a decimal's text.
pub fn balance(rng: &mut Rng) -> String {
    format!(
        "{}{}.{:02}",
        rng.pick(&["", "", "", "-"]),
        rng.below(100_000),
        rng.below(100)
    )
}

/// A date and time with milliseconds.
pub fn due_at(rng: &mut Rng) -> String {
    moment(rng, 2027, 3)
}

/// A set of interests, as the database takes it.
pub fn interests(rng: &mut Rng) -> String {
    let bits = rng.bits();
    let chosen: Vec<_> = INTERESTS
        .iter()
        .enumerate()
        .filter(|(i, _)| bits >> i & 1 == 1)
        .map(|(_, member)| *member)
        .collect();
    chosen.join(",")
}

/// A JSON text.
pub fn preferences(rng: &mut Rng) -> String {
    match rng.below(8) {
        0 => "{}".to_owned(),
        1 => "[]".to_owned(),
        2 => r#"["sleep", 3, null, {"deep": [[], {}]}]"#.to_owned(),
        3 => r#""only a text, with \"quotes\" and \u00e9""#.to_owned(),
        4 => format!(
            r#"{{"big": {}, "small": 1e-7, "neg": -0.25}}"#,
            u64::MAX - rng.below(9)
        ),
        _ => format!(
            r#"{{"theme": "{}", "lang": "zh-CN", "push": {{"sleep": {}, "feeding": [{}, {}]}}, "昵称": "{}"}}"#,
            rng.pick(&THEMES),
            rng.one_in(2),
            rng.below(12),
            rng.between(12, 23),
            rng.pick(&EMOJI)
        ),
    }
}

fn phone(rng: &mut Rng, chinese: bool) -> String {
    if chinese {
        format!("1{}{:09}", rng.between(3, 9), rng.below(1_000_000_000))
    } else {
        match rng.below(4) {
            // Eight characters and fewer are masked whole.
            0 => format!("{:08}", rng.below(100_000_000)),
            1 => rng.below(100_000).to_string(),
            _ => format!("+44 20 7{:03} {:04}", rng.below(1_000), rng.below(10_000)),
        }
    }
}

fn password_hash(rng: &mut Rng) -> String {
    const ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let tail = (0..53).map(|_| char::from(ALPHABET[rng.index(64)]));
    format!("$2b$12${}", tail.collect::<String>())
}

fn score(rng: &mut Rng) -> f64 {
    // A ratio of two integers below 2^53 has up to 17 significant digits.
    let (a, b) = (
        rng.between(-1_000_000, 1_000_000),
        rng.between(1, 1_000_000),
    );
    a as f64 / b as f64
}

fn bytes(rng: &mut Rng, most: usize) -> Vec<u8> {
    let len = rng.index(most + 1);
    (0..len).map(|_| rng.bits().to_le_bytes()[0]).collect()
}

fn month_day(rng: &mut Rng) -> String {
    format!("{:02}-{:02}", rng.between(1, 12), rng.between(1, DAYS))
}

fn moment(rng: &mut Rng, year: i64, digits: u32) -> String {
    // Sometimes without a fraction, which some readers then leave out.
    let fraction = if rng.one_in(5) {
        0
    } else {
        rng.below(10_u64.pow(digits))
    };
    format!(
        "{year}-{} {:02}:{:02}:{:02}.{fraction:0width$}",
        month_day(rng),
        rng.below(24),
        rng.below(60),
        rng.below(60),
        width = digits as usize
    )
}

/// Every value at an edge of its column.
fn extreme(rng: &mut Rng, id: u64, rev: u64) -> Vec<Value> {
    vec![
        id.into(),
        rev.into(),
        rng.pick(&["", "👨‍👩‍👧‍👦👨‍👩‍👧‍👦", "𠮷𠮷𠮷", "'; DROP TABLE user_profile; --"])
            .into(),
        "长".repeat(64).into(),
        rng.pick(&GENDERS).into(),
        rng.pick(&["1000-01-01", "9999-12-31", "1969-12-31", "2000-02-29"])
            .into(),
        rng.pick(&[
            "1000-01-01 00:00:00.000",
            "9999-12-31 23:59:59.999",
            "1969-12-31 23:59:59.999",
        ])
        .into(),
        rng.pick(&["", "12345678", "123456789", "一二三四五六七八九十"])
            .into(),
        format!("{}@example.com", "x".repeat(116)).into(),
        password_hash(rng).into(),
        rng.pick(&["", "\u{feff}bom", "C:\\temp\\"]).into(),
        rng.pick(&["\u{7f}\u{0}", "\u{10ffff}", "\\u0000", "宝"])
            .repeat(500)
            .into(),
        rng.pick(&["-9999999999.99", "9999999999.99", "0.00", "-0.01"])
            .into(),
        [
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            -2.25e300,
            0.1 + 0.2,
            9_007_199_254_740_993.0,
            1e21,
        ][rng.index(7)]
        .into(),
        rng.pick(&["3.40282e38", "-1.17549e-38", "0.1", "999999", "0"])
            .into(),
        rng.pick(&["0", "255"]).into(),
        rng.below(2).into(),
        [0_u64, 1, 128, 255][rng.index(4)].into(),
        rng.pick(&[
            "",
            "pregnancy,newborn,toddler,nutrition,sleep,toys,books",
            "books",
        ])
        .into(),
        rng.pick(&[
            "\"\"",
            "0",
            "[[[[[[[[1]]]]]]]]",
            "{\"\": {\"a.b\": [true, false, null]}}",
            " { \"spaced\" : 1.0 } ",
        ])
        .into(),
        vec![[0_u8, 255, 10][rng.index(3)]; [0, 1, 64][rng.index(3)]].into(),
        rng.pick(&["0", "4294967295"]).into(),
        rng.pick(&["-8388608", "8388607"]).into(),
        rng.pick(&["-32768", "32767"]).into(),
        rng.pick(&[
            "-838:59:59",
            "838:59:59",
            "00:00:00",
            "-00:00:01",
            "100:00:00",
        ])
        .into(),
        rng.pick(&[
            "1000-01-01 00:00:00.000001",
            "9999-12-31 23:59:59.999999",
            "1970-01-01 00:00:00.000000",
        ])
        .into(),
        rng.pick(&["1970-01-01 00:00:01.000", "2038-01-19 03:14:07.999"])
            .into(),
        rng.pick(&[
            "1970-01-01 00:00:01.000001",
            "2038-01-19 03:14:07.999999",
            "2001-09-09 01:46:40.100000",
        ])
        .into(),
        rng.pick(&["1901", "2155", "1970"]).into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::table::COLUMNS;
    use super::*;

    #[test]
    fn a_row_has_a_value_for_every_column_and_the_seed_decides_it() {
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        for id in 0..500 {
            let row = person(&mut a, id, id + 1);
            assert_eq!(row.len(), COLUMNS.len());
            assert_eq!(row, person(&mut b, id, id + 1));
            assert_eq!(row[..2], [Value::from(id), Value::from(id + 1)]);
        }
    }

    #[test]
    fn every_column_but_the_first_two_is_sometimes_null() {
        let mut rng = Rng::new(1);
        let mut nulls = [0; COLUMNS.len()];
        for id in 0..2_000 {
            for (count, value) in nulls.iter_mut().zip(person(&mut rng, id, 1)) {
                *count += usize::from(value == Value::NULL);
            }
        }
        assert_eq!(nulls[..2], [0, 0]);
        assert!(nulls[2..].iter().all(|n| *n > 50));
    }
}
