//! The README's reference pages are what the code says.

use std::path::Path;

use twolane::config::reference;

/// A page's marker, what it must hold, and how to make it.
fn pages() -> [(&'static str, String); 4] {
    [
        ("settings", reference::settings()),
        ("topics", reference::topics()),
        ("pipelines", reference::pipelines()),
        ("live", reference::live()),
    ]
}

/// What stands between the markers of a page.
fn between<'r>(readme: &'r str, name: &str) -> Option<&'r str> {
    let (_, rest) = readme.split_once(&format!("<!-- {name} -->\n"))?;
    let (page, _) = rest.split_once(&format!("<!-- /{name} -->"))?;
    Some(page)
}

#[test]
fn the_readmes_reference_pages_are_what_the_code_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let Ok(readme) = std::fs::read_to_string(file) else {
        return;
    };
    let settings = between(&readme, "settings");
    assert!(
        settings.is_some(),
        "README.md lacks <!-- settings --> and <!-- /settings -->"
    );
    for (name, page) in pages() {
        let Some(found) = between(&readme, name) else {
            continue;
        };
        assert!(
            found.trim() == page.trim(),
            "README.md's {name} differ from the code: put the output of `twolane reference {name}` between its markers"
        );
    }
}

#[test]
fn every_reference_page_is_a_table_with_a_line_for_each_field() {
    for (name, page) in pages() {
        let rows = page.lines().filter(|line| line.starts_with("| `")).count();
        assert!(rows >= 8, "{name}");
        assert!(
            page.lines()
                .filter(|line| line.starts_with('|'))
                .all(|line| line.ends_with('|')),
            "{name}"
        );
    }
}
