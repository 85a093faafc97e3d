//! The operator's page: a few files that are part of the program, which ask the other paths of this address.

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use super::answers::{only, read};

/// Nothing from elsewhere runs in the page, nothing of it goes elsewhere, and no other page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Each file's path, kind and text.
pub(super) const FILES: [(&str, &str, &str); 10] = [
    ("/", HTML, include_str!("../page/page.html")),
    ("/page/page.css", CSS, include_str!("../page/page.css")),
    ("/page/page.js", JS, include_str!("../page/page.js")),
    ("/page/act.js", JS, include_str!("../page/act.js")),
    ("/page/book.js", JS, include_str!("../page/book.js")),
    ("/page/branches.js", JS, include_str!("../page/branches.js")),
    ("/page/dead.js", JS, include_str!("../page/dead.js")),
    ("/page/draw.js", JS, include_str!("../page/draw.js")),
    ("/page/live.js", JS, include_str!("../page/live.js")),
    ("/page/tree.js", JS, include_str!("../page/tree.js")),
];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    for (path, kind, text) in FILES {
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
