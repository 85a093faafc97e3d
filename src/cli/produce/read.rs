//! Standard input in whole lines, read on a thread of its own: a read of a pipe may take for ever, and must not
//! hold up what is on its way.

use std::io::{self, BufRead, Read as _};

use tokio::sync::mpsc;

/// The most bytes of a line: what the lane's decoders take of a record.
const LONGEST: usize = 24 << 20;
/// Lines travel in chunks of about so many bytes, since handing each over by itself costs more than sending it.
const CHUNK: usize = 256 << 10;
/// Chunks that wait to be sent: reading goes on while one is worked at, and no further.
const AHEAD: usize = 2;

/// Some lines.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The number of the first one, from 1.
    pub first: u64,
    /// The lines, each with its end but perhaps the last one of all.
    pub text: Vec<u8>,
    /// The last line is longer than [`LONGEST`], and cut off.
    pub cut: bool,
}

/// Lines of standard input as they come; an error is the last that comes.
pub(super) fn lines() -> io::Result<mpsc::Receiver<io::Result<Chunk>>> {
    let (to, from) = mpsc::channel(AHEAD);
    std::thread::Builder::new()
        .name("standard input".into())
        .spawn(move || {
            let mut input = io::BufReader::with_capacity(CHUNK, io::stdin().lock());
            let mut first = 1;
            loop {
                let chunk = chunk(&mut input, first, LONGEST);
                let ends = chunk.as_ref().map_or(true, Option::is_none);
                first += chunk.as_ref().map_or(0, |c| {
                    c.as_ref().map_or(0, |c| count(&c.text) + u64::from(c.cut))
                });
                let Some(chunk) = chunk.transpose() else {
                    return;
                };
                // Nobody listens any more after Ctrl-C.
                if to.blocking_send(chunk).is_err() || ends {
                    return;
                }
            }
        })?;
    Ok(from)
}

fn count(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

/// The next lines, about [`CHUNK`] bytes of them; `None` at the end.
fn chunk(
    input: &mut io::BufReader<impl io::Read>,
    first: u64,
    longest: usize,
) -> io::Result<Option<Chunk>> {
    let mut text = Vec::new();
    while text.len() < CHUNK {
        let start = text.len();
        let limit = u64::try_from(longest + 1).unwrap_or(u64::MAX);
        // With its end a line may have one byte more than without.
        let read = input.by_ref().take(limit).read_until(b'\n', &mut text)?;
        if read == 0 {
            break;
        }
        if read > longest && text.last() != Some(&b'\n') {
            text.truncate(start + longest);
            rest(input)?;
            return Ok(Some(Chunk {
                first,
                text,
                cut: true,
            }));
        }
        // A pipe gives what it has: whole lines that came are sent, rather than waiting for the next one's end.
        if memchr::memchr(b'\n', input.buffer()).is_none() {
            break;
        }
    }
    Ok((!text.is_empty()).then_some(Chunk {
        first,
        text,
        cut: false,
    }))
}

/// Passes over the rest of a line.
fn rest(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        match memchr::memchr(b'\n', buffer) {
            Some(at) => {
                input.consume(at + 1);
                return Ok(());
            }
            None if buffer.is_empty() => return Ok(()),
            None => {
                let all = buffer.len();
                input.consume(all);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of an input as a sender sees them, with a limit of ten bytes.
    fn lines(input: &[u8], buffer: usize) -> Vec<(u64, String, bool)> {
        let mut input = io::BufReader::with_capacity(buffer, input);
        let (mut first, mut all) = (1, Vec::new());
        while let Some(chunk) = chunk(&mut input, first, 10).unwrap() {
            let text = String::from_utf8(chunk.text).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            for (i, line) in lines.iter().enumerate() {
                let cut = chunk.cut && i + 1 == lines.len();
                all.push((first + i as u64, (*line).to_owned(), cut));
            }
            first += lines.len() as u64;
        }
        all
    }

    #[test]
    fn lines_keep_their_numbers_whatever_comes_at_once() {
        let input = b"one\n\ntwo\n0123456789\n0123456789A\nlast";
        let expected = [
            (1, "one", false),
            (2, "", false),
            (3, "two", false),
            (4, "0123456789", false),
            (5, "0123456789", true),
            (6, "last", false),
        ];
        let expected = expected.map(|(n, line, cut)| (n, line.to_owned(), cut));
        for buffer in [1, 4, 7, 100] {
            assert_eq!(lines(input, buffer), expected, "{buffer}");
        }
        assert_eq!(lines(b"", 8), []);
    }
}
