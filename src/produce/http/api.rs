//! The paths.

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use super::events::post_events;
use super::openapi::document;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/v1/events/{topic}", web::post().to(post_events))
        .route("/v1/openapi.json", web::get().to(openapi));
}

/// Open to everybody: it says nothing of topics or clients.
async fn openapi() -> HttpResponse {
    match document() {
        Ok(document) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/json"))
            .body(document),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}
