use super::*;

#[test]
fn a_document_is_refused_at_the_line_that_is_wrong() {
    pipeline_cases(&[
        (
            "{ due_at = \"dueDate\" }",
            "{ due_at = \"_v\" }",
            &[
                "pipelines/users.toml:3:21: rename.due_at = \"_v\": _v is kept for deletes and versions; choose another name",
            ],
        ),
        (
            "{ due_at = \"dueDate\" }",
            "{ due_at = \"_deleted\" }",
            &[
                "pipelines/users.toml:3:21: rename.due_at = \"_deleted\": _deleted is kept for deletes and versions; choose another name",
            ],
        ),
        (
            "{ due_at = \"dueDate\" }",
            "{ due_at = \"_deleted_at\" }",
            &[
                "pipelines/users.toml:3:21: rename.due_at = \"_deleted_at\": _deleted_at is kept for deletes and versions; choose another name",
            ],
        ),
        (
            "{ due_at = \"dueDate\" }",
            "{ due_at = \"_id\" }",
            &[
                "pipelines/users.toml:3:21: rename.due_at = \"_id\": _id is a field of Elasticsearch's own; choose another name",
            ],
        ),
        (
            "{ due_at = \"dueDate\" }",
            "{ due_at = \"due.\" }",
            &[
                "pipelines/users.toml:3:21: rename.due_at = \"due.\": a field's name is not empty and neither begins nor ends with a dot",
            ],
        ),
        (
            "{ due_at = \"dueDate\" }",
            "{ due_at = \"due_at\" }",
            &[
                "pipelines/users.toml:3:21: rename.due_at = \"due_at\" changes nothing: leave it out",
            ],
        ),
        (
            "{ due_at = \"dueDate\" }",
            "{ due_at = 7 }",
            &["pipelines/users.toml:3:21: document.rename.due_at must be text, not 7"],
        ),
        (
            "{ due_at = \"dueDate\" }",
            "{ a = \"x\", b = \"x\" }",
            &[
                "pipelines/users.toml:3:25: rename gives \"a\" and \"b\" one name, \"x\": a document holds a field once",
            ],
        ),
        (
            "{ due_at = \"dueDate\" }",
            "{ due_at = \"balance\" }",
            &[
                "pipelines/users.toml:3:21: rename.due_at = \"balance\": topic app.users has a column of that name; choose another, or omit or rename that one",
            ],
        ),
        (
            "{ due_at = \"dueDate\" }",
            "{ balance = \"id\", id = \"balance\" }",
            &[],
        ),
        (
            "[\"password_hash\"]",
            "[\"password_hash\", \"due_at\"]",
            &["pipelines/users.toml:4:28: column \"due_at\" is in omit and in rename: keep one"],
        ),
        (
            "[\"password_hash\"]",
            "[\"a\", \"a\"]",
            &["pipelines/users.toml:4:16: omit names column \"a\" twice"],
        ),
        (
            "[\"password_hash\"]",
            "\"password_hash\"",
            &[
                "pipelines/users.toml:4:10: document.omit must be a list of texts, not \"password_hash\"",
            ],
        ),
        (
            "[\"password_hash\"]",
            "[\"a\"]\nmask = { a = \"redact\" }",
            &["pipelines/users.toml:4:11: column \"a\" is in omit and in mask: keep one"],
        ),
        (
            "[\"password_hash\"]",
            "[]\nmask = { a = \"last5\" }",
            &[
                "pipelines/users.toml:5:14: mask.a must be \"redact\", \"last4\" or \"sha256\", not \"last5\": did you mean \"last4\"?",
            ],
        ),
        (
            "[\"password_hash\"]",
            "[]\nmask = { id = \"last4\" }",
            &[
                "pipelines/users.toml:5:10: mask.id: a key's column cannot be hidden, since the document's id shows it",
            ],
        ),
        ("[\"password_hash\"]", "[\"id\"]", &[]),
        (
            "[\"password_hash\"]",
            "[]\nmask = { a = \"last4\", b = \"sha256\", c = \"redact\" }",
            &[],
        ),
    ]);
}

#[test]
fn a_topics_own_column_must_not_stand_where_the_sinks_keep_theirs() {
    topic_cases(&[(
        "balance =",
        "_v =",
        &[
            "pipelines/users.toml:1:9: topic app.users has a column \"_v\", and _v is kept for deletes and versions; choose another name, by rename or omit under [document]",
        ],
    )]);
    let folder = Folder::with(&[
        (
            "topics/users.toml",
            &changed(GOOD_TOPIC, "balance =", "_deleted ="),
        ),
        (
            "pipelines/users.toml",
            &changed(
                GOOD_PIPELINE,
                "{ due_at =",
                "{ _deleted = \"was_deleted\", due_at =",
            ),
        ),
    ]);
    assert!(folder.problems(&[]).is_empty());
}
