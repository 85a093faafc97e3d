//! The OpenAPI document, made from the handlers and the answers.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::answer::{Accepted, Line, Problem};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "twolane ingest",
        description = "Events into Kafka: checked against the topic's schema, and acknowledged only when they are there."
    ),
    paths(super::events::post_events),
    components(schemas(Accepted, Problem, Line)),
    modifiers(&Keys)
)]
struct Document;

/// How requests prove who sends them.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(
            "key",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        );
    }
}

/// The document in JSON.
///
/// # Errors
/// None in practice: it is made of texts.
pub fn document() -> Result<String, serde_json::Error> {
    Document::openapi().to_pretty_json()
}
