//! A way to Redis that loses answers.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Stands between a client and a server, and can lose the answer to what the server has executed.
pub struct Lossy {
    port: u16,
    /// Every answer is lost, and the connection with it.
    pub losing: Arc<AtomicBool>,
    /// Answers that were lost.
    pub lost: Arc<AtomicU64>,
}

// === impl Lossy ===

impl Lossy {
    /// In front of what listens at this port.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let lossy = Self {
            port: listener.local_addr().expect("its address").port(),
            losing: Arc::default(),
            lost: Arc::default(),
        };
        let (losing, lost) = (Arc::clone(&lossy.losing), Arc::clone(&lossy.lost));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue;
                };
                let (mut from, mut to) = (
                    client.try_clone().expect("a socket"),
                    server.try_clone().expect("a socket"),
                );
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                let (losing, lost) = (Arc::clone(&losing), Arc::clone(&lost));
                std::thread::spawn(move || answers(server, client, &losing, &lost));
            }
        });
        lossy
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

fn answers(mut server: TcpStream, mut client: TcpStream, losing: &AtomicBool, lost: &AtomicU64) {
    let mut buffer = [0; 1 << 16];
    while let Ok(n @ 1..) = server.read(&mut buffer) {
        if losing.load(Ordering::SeqCst) {
            lost.fetch_add(1, Ordering::SeqCst);
            break;
        }
        if client.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    // Either side may be gone already.
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
