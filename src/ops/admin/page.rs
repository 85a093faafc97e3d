//! The operator's page: three files that are part of the program, which ask the other paths of this address.

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use super::answers::{only, read};

/// Nothing from elsewhere runs in the page, nothing of it goes elsewhere, and no other page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = include_str!("../page/page.html");
const STYLE: &str = include_str!("../page/page.css");
const SCRIPT: &str = include_str!("../page/page.js");

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let files = [
        ("/", "text/html; charset=utf-8", HTML),
        ("/page.css", "text/css; charset=utf-8", STYLE),
        ("/page.js", "text/javascript; charset=utf-8", SCRIPT),
    ];
    for (path, kind, text) in files {
        let file = move || async move { file(kind, text) };
        config.service(only(path, "GET", read().to(file)));
    }
}

fn file(kind: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, kind))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        // It belongs to this version of the program.
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(text)
}
