//! Reads every row of the table and what both sinks hold of it, and lets [`super::compare`] judge.
//!
//! It relies on nobody changing rows meanwhile.

use anyhow::{Context as _, bail};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Row, Value};

use super::compare::{Checker, Report, Store};
use super::stores::Stores;
use super::table::{COLUMNS, Column, Database, TABLE};
use crate::config::DocumentSpec;

/// Rows read at once: about 1 MB from each side.
const CHUNK: usize = 1_000;

/// Compares every row with its document and its hash, and everything live in the sinks with the table.
///
/// # Errors
/// Where the table or a sink cannot be read; a difference is not an error.
pub async fn compare(
    database: &Database,
    stores: &Stores,
    document: &DocumentSpec,
) -> anyhow::Result<Report> {
    let mut conn = database.connect().await?;
    let select: Vec<_> = COLUMNS.iter().map(Column::select).collect();
    let select = format!("SELECT {} FROM {TABLE} WHERE id", select.join(", "));
    let mut checker = Checker::new(document);
    let mut from = ">= 0".to_owned();
    loop {
        let rows: Vec<Row> = conn
            .query(format!("{select} {from} ORDER BY id LIMIT {CHUNK}"))
            .await
            .context("cannot read the table")?;
        let rows = rows
            .into_iter()
            .map(cells)
            .collect::<anyhow::Result<Vec<_>>>()?;
        let ids: Vec<String> = rows
            .iter()
            .filter_map(|cells| cells.first().cloned().flatten())
            .collect();
        let Some(last) = ids.last() else { break };
        from = format!("> {last}");
        let (documents, hashes) =
            tokio::try_join!(stores.documents.get(&ids), stores.hashes.get(&ids))?;
        for ((cells, document), hash) in rows.iter().zip(&documents).zip(&hashes) {
            checker.row(cells, document.as_ref(), hash.as_ref());
        }
    }
    let mut live = Vec::new();
    stores
        .documents
        .walk(|id| live.push((Store::Elasticsearch, id.to_owned())))
        .await?;
    stores
        .hashes
        .walk(
            |id| checker.knows(id),
            |id| live.push((Store::Redis, id.to_owned())),
        )
        .await?;
    live.sort_unstable();
    live.dedup();
    for (store, id) in live {
        checker.live(store, &id);
    }
    conn.disconnect()
        .await
        .context("cannot close a connection")?;
    Ok(checker.finish())
}

/// The text of each column, as the server's text protocol gives it.
fn cells(row: Row) -> anyhow::Result<Vec<Option<String>>> {
    let cells = row
        .unwrap()
        .into_iter()
        .zip(&COLUMNS)
        .map(|(value, column)| match value {
            Value::NULL => Ok(None),
            Value::Bytes(bytes) => String::from_utf8(bytes)
                .map(Some)
                .with_context(|| format!("column {} is not UTF-8", column.name)),
            other => bail!("column {} came as {other:?} and not as text", column.name),
        });
    cells.collect()
}
