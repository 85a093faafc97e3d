//! The bucket's other side: how decisions get into it.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::{self, kv};

use super::act::unavailable;
use super::entry::{Entry, Item};
use super::request::{Code, Failure};
use crate::live::keywords::keyword;
use crate::live::names::RoomId;
use crate::live::streams::{MODERATION, MODERATION_REMOVED};

/// Keywords of one room: its filter is made anew at each change, in a millisecond.
const MOST_WORDS: usize = 500;
/// How often a change of the keywords is tried when other moderators change them at the same time.
const TRIES: usize = 8;

/// What is written under a key.
pub(super) enum Write {
    /// For good, or for so long.
    Put(Entry, Option<Duration>),
    /// Over this revision and no other; 0 is none.
    Update(Entry, u64),
    /// It no longer holds.
    Remove,
}

/// Why nothing was written.
enum Unwritten {
    /// An update met another revision.
    Raced,
    /// One sentence; it may have been written.
    Failed(String),
}

/// The bucket.
///
/// # Errors
/// One sentence; it is made with the streams ([`streams::apply`](crate::live::streams::apply)).
pub(super) async fn bucket(js: &jetstream::Context) -> Result<kv::Store, String> {
    js.get_key_value(MODERATION)
        .await
        .map_err(|e| format!("the bucket {MODERATION}: {e}"))
}

/// Changes the keywords of a room; returns the revision and how many there are.
pub(super) async fn keywords(
    js: &jetstream::Context,
    room: &RoomId,
    new: &Entry,
    add: &[String],
    remove: &[String],
) -> Result<(u64, usize), Failure> {
    let store = bucket(js).await.map_err(unavailable)?;
    let key = Item::Words.key(room);
    for _ in 0..TRIES {
        let held = store
            .entry(&key)
            .await
            .map_err(|e| unavailable(e.to_string()))?;
        let revision = held.as_ref().map_or(0, |entry| entry.revision);
        let words = match held {
            Some(entry) if entry.operation == kv::Operation::Put => {
                serde_json::from_slice::<Entry>(&entry.value)
                    .ok()
                    .and_then(|e| e.words)
                    .unwrap_or_default()
            }
            Some(_) | None => Vec::new(),
        };
        let words = changed(words, add, remove);
        if words.len() > MOST_WORDS {
            return Err(Failure::new(
                Code::TooMany,
                format!("a room has {MOST_WORDS} keywords at the most: remove some"),
            ));
        }
        let count = words.len();
        let entry = Entry {
            words: Some(words),
            ..new.clone()
        };
        match put(js, &store, &key, Write::Update(entry, revision)).await {
            Ok(revision) => return Ok((revision, count)),
            Err(Unwritten::Raced) => {}
            Err(Unwritten::Failed(why)) => return Err(unavailable(why)),
        }
    }
    Err(Failure::new(
        Code::Unavailable,
        "others change the keywords of this room at the same time: ask again",
    ))
}

/// A list without the removed and with the added. A keyword is the same as another that is looked for in the
/// same form.
fn changed(words: Vec<String>, add: &[String], remove: &[String]) -> Vec<String> {
    let form = |word: &String| keyword(word).ok();
    let gone: Vec<_> = remove.iter().filter_map(form).collect();
    let mut forms = Vec::new();
    let mut changed = Vec::new();
    for word in words
        .iter()
        .filter(|word| form(word).is_some_and(|f| !gone.contains(&f)))
        .chain(add)
    {
        if let Some(form) = form(word)
            && !forms.contains(&form)
        {
            forms.push(form);
            changed.push(word.clone());
        }
    }
    changed
}

/// Writes one key of the bucket; returns the revision.
///
/// # Errors
/// [`Code::Unavailable`].
pub(super) async fn write(
    js: &jetstream::Context,
    key: &str,
    write: Write,
) -> Result<u64, Failure> {
    let store = bucket(js).await.map_err(unavailable)?;
    put(js, &store, key, write).await.map_err(|e| match e {
        Unwritten::Raced => unavailable("another moderator was faster".to_owned()),
        Unwritten::Failed(why) => unavailable(why),
    })
}

async fn put(
    js: &jetstream::Context,
    store: &kv::Store,
    key: &str,
    write: Write,
) -> Result<u64, Unwritten> {
    let mut headers = HeaderMap::new();
    // A bucket that somebody made without it keeps decisions that have ended; they do no harm.
    let ttl = store.stream.cached_info().config.allow_message_ttl;
    let entry = match write {
        Write::Put(entry, lives) => {
            if let Some(lives) = lives.filter(|_| ttl) {
                headers.insert(header::NATS_MESSAGE_TTL, lives.as_secs().to_string());
            }
            Some(entry)
        }
        Write::Update(entry, revision) => {
            headers.insert(
                header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
                revision.to_string(),
            );
            Some(entry)
        }
        Write::Remove => {
            headers.insert("KV-Operation", "PURGE");
            headers.insert(header::NATS_ROLLUP, "sub");
            if ttl {
                headers.insert(
                    header::NATS_MESSAGE_TTL,
                    MODERATION_REMOVED.as_secs().to_string(),
                );
            }
            None
        }
    };
    let payload = match entry {
        Some(entry) => serde_json::to_vec(&entry).map_err(|e| Unwritten::Failed(e.to_string()))?,
        None => Vec::new(),
    };
    let subject = format!("{}{key}", store.prefix);
    let failed = |e: PublishError| match e.kind() {
        PublishErrorKind::WrongLastSequence => Unwritten::Raced,
        PublishErrorKind::StreamNotFound
        | PublishErrorKind::WrongLastMessageId
        | PublishErrorKind::TimedOut
        | PublishErrorKind::BrokenPipe
        | PublishErrorKind::MaxAckPending
        | PublishErrorKind::MaxPayloadExceeded
        | PublishErrorKind::Other => Unwritten::Failed(e.to_string()),
    };
    let ack = js
        .publish_with_headers(subject, headers, payload.into())
        .await
        .map_err(failed)?
        .await
        .map_err(failed)?;
    Ok(ack.sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_is_added_once_and_removed_in_any_form() {
        let list = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let words = changed(list(&["bad", "worse"]), &list(&["ＢＡＤ", "new"]), &[]);
        assert_eq!(words, ["bad", "worse", "new"]);
        let words = changed(words, &[], &list(&["Ｂad", "other"]));
        assert_eq!(words, ["worse", "new"]);
    }
}
