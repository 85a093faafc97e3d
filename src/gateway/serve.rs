//! The listener: actix-web for requests, and the sockets taken over from it.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;

use actix_codec::{Encoder as _, Framed};
use actix_http::body::BodySize;
use actix_http::ws;
use actix_http::{ConnectionType, HttpService, KeepAlive, Request, Response, h1};
use actix_server::{Server, ServerHandle};
use actix_service::{fn_service, map_config};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use actix_web::{App, dev::AppConfig, web};
use bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;

use super::admit::{self, Admitted, Head, PROTOCOL, Refusal};
use super::http;
use super::hub::Hub;
use super::local::Local;

/// The listener's queue: a flood of clients that come back.
const BACKLOG: u32 = 4_096;
/// What a stop waits for requests under way, in seconds: they take milliseconds.
const STOP: u64 = 1;

/// Listens where the settings say.
///
/// # Errors
/// One sentence where the address cannot be had.
pub(super) fn bind(listen: SocketAddr, send_buffer: u32) -> Result<TcpListener, String> {
    let bound = bind_once(listen, send_buffer);
    bound.map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::AddrInUse => {
                "another process has it (another twolane?): stop that one, or give this one another port"
            }
            ErrorKind::AddrNotAvailable => {
                "this machine has no such address: give one that it has, such as 127.0.0.1"
            }
            ErrorKind::PermissionDenied => "ports below 1024 are for root: give a higher one",
            _ => "give an address that this process may listen on",
        };
        format!("gateway.listen = \"{listen}\" cannot be had ({error}): {remedy}")
    })
}

fn bind_once(listen: SocketAddr, send_buffer: u32) -> std::io::Result<TcpListener> {
    let socket = match listen {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    // A restart finds sockets of the process before it in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    // Accepted sockets have it from the listener.
    socket.set_send_buffer_size(send_buffer)?;
    socket.bind(listen)?;
    let listener = socket.listen(BACKLOG)?;
    listener.into_std()
}

/// Serves on a listener.
///
/// # Errors
/// Where the threads cannot be started.
pub(super) fn serve(
    hub: &Arc<Hub>,
    listener: TcpListener,
) -> std::io::Result<(Server, ServerHandle)> {
    let shared = Arc::clone(hub);
    let addr = listener.local_addr()?;
    let server = Server::build()
        .workers(hub.settings.workers)
        .max_concurrent_connections(hub.settings.requests)
        .worker_max_blocking_threads(1)
        .shutdown_timeout(STOP)
        .disable_signals()
        .listen("gateway", listener, move || {
            let hub = Arc::clone(&shared);
            let local = Local::start(&hub);
            let data = web::Data::from(Arc::clone(&hub));
            let app = App::new().app_data(data).configure(http::routes);
            let upgrade = move |(request, framed): (Request, Framed<TcpStream, h1::Codec>)| {
                let local = Rc::clone(&local);
                async move {
                    take_over(&local, &request, framed);
                    Ok::<(), actix_http::Error>(())
                }
            };
            HttpService::build()
                .keep_alive(KeepAlive::Timeout(hub.settings.ping_interval))
                .client_request_timeout(hub.settings.handshake_timeout)
                .tcp_nodelay(true)
                .local_addr(addr)
                .upgrade(fn_service(upgrade))
                .h1(map_config(app, |_| AppConfig::default()))
                .tcp()
        })?
        .run();
    let handle = server.handle();
    Ok((server, handle))
}

/// Answers a handshake. From here on actix-http has no part in the socket, and its buffers are free.
fn take_over(local: &Rc<Local>, request: &Request, framed: Framed<TcpStream, h1::Codec>) {
    let head = request.head();
    let parts = framed.into_parts();
    let (stream, mut codec) = (parts.io, parts.codec);
    let asked = Head {
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: head.headers(),
        peer: head.peer_addr,
    };
    let admitted = ws::verify_handshake(head)
        .map_err(|why| Refusal {
            status: StatusCode::BAD_REQUEST,
            code: "handshake",
            detail: why.to_string(),
        })
        .and_then(|()| admit::admit(&local.hub, asked, local.id));
    let mut out = BytesMut::new();
    match admitted {
        Ok(admitted) => {
            let mut answer = ws::handshake_response(head).finish();
            if admitted.protocol {
                let protocol = HeaderValue::from_static(PROTOCOL);
                answer
                    .headers_mut()
                    .insert(SEC_WEBSOCKET_PROTOCOL, protocol);
            }
            let answer = (answer.drop_body(), BodySize::None).into();
            if codec.encode(answer, &mut out).is_ok() && send(&stream, &out) {
                open(local, stream, admitted, &parts.read_buf);
            }
        }
        Err(refusal) => {
            refuse(&mut codec, &refusal, &mut out);
            // It is small, and the socket is fresh: the kernel takes it whole, or the client is gone.
            send(&stream, &out);
        }
    }
}

fn open(local: &Rc<Local>, stream: TcpStream, admitted: Admitted, read: &[u8]) {
    // What is small goes at once, also behind something that is not acknowledged yet.
    if stream.set_nodelay(true).is_ok() {
        local.open(stream, admitted, read);
    }
}

fn refuse(codec: &mut h1::Codec, refusal: &Refusal, out: &mut BytesMut) {
    let body = Bytes::from(refusal.json());
    let mut answer = Response::new(refusal.status).drop_body();
    let head = answer.head_mut();
    head.set_connection_type(ConnectionType::Close);
    let json = HeaderValue::from_static("application/json");
    head.headers_mut().insert(CONTENT_TYPE, json);
    let size = BodySize::Sized(body.len() as u64);
    // Encoding into memory does not fail.
    let _ = codec.encode((answer, size).into(), out);
    let _ = codec.encode(h1::Message::Chunk(Some(body)), out);
    let _ = codec.encode(h1::Message::Chunk(None), out);
}

/// Whether the kernel took all of it.
fn send(stream: &TcpStream, bytes: &[u8]) -> bool {
    stream.try_write(bytes).is_ok_and(|n| n == bytes.len())
}
