//! What the gateway answers without a socket.
//!
//! | path | answer |
//! |---|---|
//! | `GET /v1/rooms/{room}/ws` | without an upgrade: 426, or why the socket would be refused, which a browser does not tell its page |
//! | `POST /v1/notifications` | see [`super::post`] |
//! | `GET /rooms/{room}` | the room page |

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::admit::{self, Head, Refusal};
use super::hub::Hub;
use super::{page, post};

/// A refusal as an answer.
pub(super) fn refused(refusal: &Refusal) -> HttpResponse {
    HttpResponse::build(refusal.status)
        .content_type("application/json")
        .insert_header(("cache-control", "no-store"))
        .body(refusal.json())
}

/// The paths.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/v1/rooms/{room}/ws", web::get().to(socket))
        .route("/v1/notifications", web::post().to(post::post))
        .route("/rooms/{room}", web::get().to(page::room))
        .route("/page/{file}", web::get().to(page::file));
}

async fn socket(hub: web::Data<Hub>, request: HttpRequest) -> HttpResponse {
    let head = Head {
        path: request.path(),
        query: request.query_string(),
        headers: request.headers(),
        peer: request.peer_addr(),
    };
    // The place is free again at the end of this statement.
    match admit::admit(&hub, head, 0) {
        Ok(_) => refused(&Refusal {
            status: StatusCode::UPGRADE_REQUIRED,
            code: "upgrade_required",
            detail: "you may come in: open a WebSocket here".to_owned(),
        }),
        Err(refusal) => refused(&refusal),
    }
}
