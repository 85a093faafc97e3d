//! What the keyword filter costs a comment: a list of 10,000 keywords against comments of the length that people
//! write and of the greatest, by the thread's own CPU time, so that a busy machine does not count.
//! `cargo bench --bench keywords`.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use twolane::live::keywords::{Filter, Normal};

/// What the filter may take for a comment.
const GOAL: Duration = Duration::from_micros(20);
/// Long enough for a steady clock, short enough to be run often.
const FOR: Duration = Duration::from_secs(1);
const KEYWORDS: u32 = 10_000;

const COMMENTS: [(&str, &str); 5] = [
    ("short, Chinese", "哈哈哈哈哈 主播好厉害"),
    ("short, Latin", "That was AMAZING, well played!"),
    (
        "full width",
        "ｔｈａｔ　ｗａｓ　ａｍａｚｉｎｇ　ｗｅｌｌ　ｐｌａｙｅｄ",
    ),
    (
        "100 characters, Chinese",
        "今天的直播真的太精彩了主播的操作行云流水每一个细节都处理得非常到位希望以后能够看到更多这样的内容支持主播加油加油加油大家一起来为主播点赞吧这个片段我已经看了很多遍了每次都觉得很感动谢谢你们带来这么好的节目",
    ),
    (
        "100 characters, mixed, with evasions",
        "Ｗhat a g\u{200B}reat pl\u{200D}ay 太厉害了！！ straße É\u{0336}È ａｂｃ d e f g 加\u{FE0F}油 ŁÓDŹ σίσυφος ΣΊΣΥΦΟΣ ﬁne oﬃce ①②③ か゛がガｶﾞ ok",
    ),
];

/// CPU time of this thread, or elapsed time where the kernel does not tell.
fn clock(begin: Instant) -> Duration {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .map_or_else(|| begin.elapsed(), Duration::from_nanos)
}

/// Words of two to eight characters, half of them Chinese, none of which is in a comment.
fn keywords() -> Vec<String> {
    let mut state = 1_u32;
    let mut next = move |below: u32| {
        // Numerical Recipes' generator: the list is the same each time.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let mut words = Vec::new();
    while words.len() < KEYWORDS as usize {
        let length = 2 + next(7);
        let wide = next(2) == 0;
        let word: String = (0..length)
            .filter_map(|_| {
                char::from_u32(if wide {
                    0x4E00 + next(0x5000)
                } else {
                    u32::from(b'a') + next(26)
                })
            })
            .collect();
        let filter = Filter::new([&word]).unwrap();
        if COMMENTS
            .iter()
            .all(|(_, text)| !filter.hits(&Normal::of(text)))
        {
            words.push(word);
        }
    }
    words
}

fn main() {
    let words = keywords();
    let begin = Instant::now();
    let start = clock(begin);
    let filter = Filter::new(&words).unwrap();
    println!("built in {:?}", clock(begin) - start);
    let mut within = true;
    for (name, text) in COMMENTS {
        let (begin, mut n) = (Instant::now(), 0_u32);
        let start = clock(begin);
        while begin.elapsed() < FOR {
            for _ in 0..100 {
                let hit = filter.hits(&Normal::of(black_box(text)));
                assert!(!black_box(hit));
            }
            n += 100;
        }
        let each = (clock(begin) - start) / n;
        within &= each < GOAL;
        println!("{name:40} {:6.2} µs", each.as_nanos() as f64 / 1e3);
    }
    assert!(within, "a comment takes {GOAL:?} or more");
}
