//! The fuzz targets, driven for a bounded time: the corpus first, then what mutation makes of it. `TWOLANE_TEST_FUZZ` is
//! the seconds that each target gets, beyond its corpus.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant, UNIX_EPOCH};

use twolane::cli::demo::rng::Rng;

use crate::fuzz_targets::{TARGETS, run};

/// What parsers trip over.
const TOKENS: [&[u8]; 14] = [
    b"null",
    b"\"\"",
    b"{}",
    b"[[",
    b"\\ud800",
    b"-0",
    b"1e999",
    b"18446744073709551616",
    b"\xff",
    b"\0",
    b"{id}",
    b"\n[[sink]]\n",
    b" = ",
    b"'",
];

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let files = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
    files.collect()
}

fn mutate(rng: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut data = corpus[rng.index(corpus.len())].clone();
    for _ in 0..=rng.below(4) {
        let at = rng.index(data.len() + 1);
        let to = (at + rng.index(16)).min(data.len());
        match rng.below(6) {
            0 if at < data.len() => data[at] ^= 1 << rng.below(8),
            1 if at < data.len() => data[at] = u8::try_from(rng.below(256)).unwrap(),
            2 => {
                data.drain(at..to);
            }
            3 => {
                let piece = data[at..to].to_vec();
                data.splice(at..at, piece);
            }
            4 => {
                let token = TOKENS[rng.index(TOKENS.len())];
                data.splice(at..to, token.iter().copied());
            }
            _ => {
                let other = &corpus[rng.index(corpus.len())];
                let from = rng.index(other.len() + 1);
                data.splice(at.., other[from..].iter().copied());
            }
        }
    }
    data
}

#[test]
fn the_fuzz_targets_find_nothing() {
    let seconds = std::env::var("TWOLANE_TEST_FUZZ").map_or(1, |s| s.parse().unwrap());
    let seed = u64::from(UNIX_EPOCH.elapsed().unwrap().subsec_nanos());
    for (name, _) in TARGETS {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has no corpus");
        corpus.iter().for_each(|data| run(name, data));
        let mut rng = Rng::new(seed);
        let began = Instant::now();
        let mut runs = 0_u64;
        while began.elapsed() < Duration::from_secs(seconds) {
            let data = mutate(&mut rng, &corpus);
            let ran = catch_unwind(AssertUnwindSafe(|| run(name, &data)));
            assert!(ran.is_ok(), "{name}, seed {seed}: {}", data.escape_ascii());
            runs += 1;
        }
        println!("{name}: {runs} runs");
    }
}
