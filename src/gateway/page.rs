//! The room page: three files that are part of the program.

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use crate::live::names::RoomId;

/// By name, with its type and text.
const FILES: [(&str, &str, &str); 3] = [
    (
        "room.css",
        "text/css; charset=utf-8",
        include_str!("page/room.css"),
    ),
    (
        "room.js",
        "text/javascript; charset=utf-8",
        include_str!("page/room.js"),
    ),
    (
        "stage.js",
        "text/javascript; charset=utf-8",
        include_str!("page/stage.js"),
    ),
];

const ROOM: &str = include_str!("page/room.html");

/// The page loads nothing from elsewhere, and is shown in nobody's frame. Its socket is its own origin's, which older
/// browsers do not count as `'self'`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /rooms/{room}`.
pub(super) async fn room(room: web::Path<String>) -> HttpResponse {
    match RoomId::new(&room) {
        Ok(_) => answer("text/html; charset=utf-8", ROOM),
        Err(why) => HttpResponse::BadRequest()
            .content_type("text/plain; charset=utf-8")
            .body(why.to_string()),
    }
}

/// `GET /page/{file}`.
pub(super) async fn file(file: web::Path<String>) -> HttpResponse {
    match FILES.iter().find(|(name, ..)| *name == *file) {
        Some((_, kind, text)) => answer(kind, text),
        None => HttpResponse::NotFound().finish(),
    }
}

fn answer(kind: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // The page's address may have a token behind its `#`, which is never sent; nothing else is to leak either.
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(text)
}
