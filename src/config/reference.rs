//! Reference pages in Markdown, made from the same tables that the parser works by.

use super::load::{ELASTICSEARCH, LIVE, PIPELINE, REDIS, SETTINGS, SINK, TOPIC, variable};
use super::read::{Field, Kind};

/// Every setting: its place in the file, its variable, its default and its meaning.
pub fn settings() -> String {
    let mut page = String::from(
        "Settings come from a TOML file (`--settings FILE`, else the file that `TWOLANE_SETTINGS` names, else \
         `twolane.toml` in the\nworking directory, if it is there) and from variables, which win. A setting's \
         variable is `TWOLANE_` and its path in upper case,\nwith `_` for the dot; an empty variable counts as not \
         set. Secrets are never printed.\n",
    );
    table(
        &mut page,
        &["Setting", "Variable", "Default", "Meaning"],
        SETTINGS.iter(),
        |field| {
            vec![
                setting(field),
                format!("`{}`", variable(field)),
                default(field),
                meaning(field),
            ]
        },
    );
    page
}

/// Every key of a topic spec.
pub fn topics() -> String {
    let mut page = String::new();
    keys(&mut page, TOPIC.iter());
    page.trim_start().to_owned()
}

/// Every key of the live lane's spec.
pub fn live() -> String {
    let mut page = String::new();
    keys(&mut page, LIVE.iter());
    page.trim_start().to_owned()
}

/// Every key of a pipeline spec.
pub fn pipelines() -> String {
    let mut page = String::new();
    keys(&mut page, PIPELINE.iter());
    page.push_str("\nEvery `[[sink]]`:\n");
    keys(&mut page, SINK.iter());
    page.push_str("\nWith `type = \"elasticsearch\"`:\n");
    keys(&mut page, ELASTICSEARCH.iter());
    page.push_str("\nWith `type = \"redis\"`:\n");
    keys(&mut page, REDIS.iter());
    page.trim_start().to_owned()
}

fn keys(page: &mut String, fields: impl Iterator<Item = &'static Field>) {
    table(page, &["Key", "Default", "Meaning"], fields, |field| {
        vec![setting(field), default(field), meaning(field)]
    });
}

fn table(
    page: &mut String,
    head: &[&str],
    fields: impl Iterator<Item = &'static Field>,
    row: impl Fn(&Field) -> Vec<String>,
) {
    let mut line = |cells: &[String]| {
        page.push_str("\n| ");
        page.push_str(&cells.join(" | "));
        page.push_str(" |");
    };
    line(
        &head
            .iter()
            .map(|cell| (*cell).to_owned())
            .collect::<Vec<_>>(),
    );
    line(&vec!["---".to_owned(); head.len()]);
    for field in fields {
        line(&row(field));
    }
    page.push('\n');
}

fn setting(field: &Field) -> String {
    match field.kind {
        Kind::Sections => format!("`[[{}]]`", field.path),
        _ => format!("`{}`", field.path),
    }
}

fn default(field: &Field) -> String {
    match field.default {
        Some(default) => format!("`{default}`"),
        None if field.required || matches!(field.kind, Kind::Sections) => "required".to_owned(),
        None => String::new(),
    }
}

fn meaning(field: &Field) -> String {
    let mut text = field.about.to_owned();
    let bounds = match &field.kind {
        Kind::Choice(_) | Kind::Integer { .. } | Kind::Duration { .. } | Kind::Size { .. } => {
            field.kind.describe()
        }
        Kind::Secret => "a secret".to_owned(),
        Kind::Text
        | Kind::Address
        | Kind::Path
        | Kind::List
        | Kind::Map { .. }
        | Kind::Sections => String::new(),
    };
    if !bounds.is_empty() {
        let bounds = bounds.replace('"', "`");
        text.push_str(&format!(" ({bounds})"));
    }
    if let Some(example) = field.example {
        text.push_str(&format!(" Example: `{example}`."));
    }
    text.replace('|', "\\|")
}
