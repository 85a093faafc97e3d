//! The life of one socket: read, answered, written to, until one of the two ends it.
//!
//! Promises: what a client sends and what it sends at is bounded, at each layer: bytes of a message, messages a second,
//! fragments of a message. No buffer is held for a client of which nothing lies half read.

use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_codec::Decoder as _;
use actix_http::ws::{Codec, Frame, Item, ProtocolError};
use bytes::BytesMut;

use super::conn::{Conn, State, Why};
use super::inbound;
use super::local::Local;

/// What is read at once: most of what clients say fits several times.
const READ: usize = 2 << 10;
/// Reads of one turn: others are on this thread too.
const READS: usize = 8;
/// The longest head of a frame (RFC 6455, 5.2): what may lie before a message that is as long as it may be.
const HEAD: usize = 14;

/// A socket at work.
pub(super) struct Session {
    local: Rc<Local>,
    conn: Rc<Conn>,
    codec: Codec,
    /// Half a frame.
    buffer: BytesMut,
    /// Half a message, and of how many fragments.
    partial: BytesMut,
    fragments: usize,
    /// The client has said that it ends.
    parted: bool,
}

/// What is to be done after something was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Go on.
    On,
    /// There is nothing more for now.
    Wait,
    /// The client is gone.
    Gone,
}

// === impl Session ===

impl Session {
    /// Of a socket that is open; `read` is what came behind the handshake.
    pub(super) fn new(local: Rc<Local>, conn: Rc<Conn>, read: &[u8]) -> Self {
        Self {
            codec: Codec::new().max_size(conn.hub.settings.frame_bytes),
            local,
            conn,
            buffer: BytesMut::from(read),
            partial: BytesMut::new(),
            fragments: 0,
            parted: false,
        }
    }

    fn read(&mut self) -> Next {
        // The bytes of earlier messages may still be in use: the buffer moves on rather than being cleared.
        self.buffer.reserve(READ);
        match self.conn.stream.try_read_buf(&mut self.buffer) {
            Ok(0) => Next::Gone,
            Ok(_) => {
                self.conn.heard.set(self.conn.hub.now_ms());
                self.decode();
                Next::On
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                if self.buffer.is_empty() {
                    self.buffer = BytesMut::new();
                }
                Next::Wait
            }
            Err(_) => Next::Gone,
        }
    }

    fn decode(&mut self) {
        loop {
            let decoded = self.codec.decode(&mut self.buffer);
            if !self.conn.is_open() {
                // After a farewell only the client's own is listened to.
                match decoded {
                    Ok(Some(Frame::Close(_))) => self.parted = true,
                    Ok(Some(_)) => continue,
                    Ok(None) if self.buffer.len() <= READ => return,
                    Ok(None) | Err(_) => self.buffer.clear(),
                }
                return;
            }
            match decoded {
                Ok(Some(frame)) => {
                    if !inbound::may_speak(&self.conn) {
                        return self.conn.close(Why::Flood);
                    }
                    self.frame(frame);
                }
                Ok(None) => {
                    // The codec waits for the whole of a frame, whatever length it names.
                    let most = self.conn.hub.settings.frame_bytes + HEAD;
                    if declared(&self.buffer).is_some_and(|n| n > most) {
                        self.conn.close(Why::TooLong);
                    }
                    return;
                }
                Err(ProtocolError::Overflow) => return self.conn.close(Why::TooLong),
                Err(_) => return self.conn.close(Why::Protocol),
            }
        }
    }

    fn frame(&mut self, frame: Frame) {
        match frame {
            Frame::Text(text) => inbound::text(&self.local, &self.conn, &text),
            // Nothing that is said here is binary.
            Frame::Binary(_) | Frame::Continuation(Item::FirstBinary(_)) => {
                self.conn.close(Why::Protocol);
            }
            Frame::Continuation(Item::FirstText(text)) => {
                self.partial.clear();
                self.fragments = 0;
                self.fragment(&text);
            }
            Frame::Continuation(Item::Continue(text)) => self.fragment(&text),
            Frame::Continuation(Item::Last(text)) => {
                self.fragment(&text);
                let whole = std::mem::take(&mut self.partial);
                if self.conn.is_open() {
                    inbound::text(&self.local, &self.conn, &whole.freeze());
                }
            }
            Frame::Ping(payload) => self.conn.pong(&payload),
            Frame::Pong(_) => {}
            Frame::Close(_) => {
                self.parted = true;
                self.conn.close(Why::Client);
            }
        }
    }

    fn fragment(&mut self, text: &[u8]) {
        self.fragments += 1;
        let settings = &self.conn.hub.settings;
        if self.partial.len() + text.len() > settings.frame_bytes
            || self.fragments > settings.fragments
        {
            self.partial = BytesMut::new();
            return self.conn.close(Why::TooLong);
        }
        self.partial.extend_from_slice(text);
    }
}

/// The length that a frame names, with its head.
fn declared(buffer: &[u8]) -> Option<usize> {
    let short = usize::from(buffer.get(1)? & 0x7F);
    let payload = match short {
        126 => usize::from(u16::from_be_bytes(buffer.get(2..4)?.try_into().ok()?)),
        127 => {
            let long = u64::from_be_bytes(buffer.get(2..10)?.try_into().ok()?);
            usize::try_from(long).unwrap_or(usize::MAX)
        }
        short => short,
    };
    Some(payload.saturating_add(HEAD))
}

impl Future for Session {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.conn.watch(cx);
        if !this.buffer.is_empty() {
            this.decode();
        }
        for turn in 0.. {
            if this.conn.state() == State::Gone {
                return Poll::Ready(());
            }
            if turn == READS {
                cx.waker().wake_by_ref();
                break;
            }
            match this.conn.stream.poll_read_ready(cx) {
                Poll::Ready(Ok(())) => match this.read() {
                    Next::On | Next::Wait => {}
                    Next::Gone => return Poll::Ready(()),
                },
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        // Whatever was said to it while it was read goes with the rest.
        this.conn.flush(cx);
        match this.conn.state() {
            State::Gone => Poll::Ready(()),
            // Both have said it: only now nothing that was sent can be lost with the connection.
            State::Closing(_) if this.parted && this.conn.is_flushed() => Poll::Ready(()),
            State::Open | State::Closing(_) => Poll::Pending,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Also where it panicked: nobody else takes the socket out of the lists.
        self.local.closed(&self.conn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_how_long_it_is_before_it_is_there() {
        assert_eq!(declared(&[0x81]), None);
        assert_eq!(declared(&[0x81, 0x85]), Some(5 + HEAD));
        assert_eq!(declared(&[0x81, 0xFE, 0x01, 0x00]), Some(256 + HEAD));
        assert_eq!(declared(&[0x81, 0xFE, 0x01]), None);
        let long = [0x81, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(declared(&long), Some((1 << 32) + HEAD));
        assert_eq!(
            declared(&[0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            Some(usize::MAX)
        );
    }
}
