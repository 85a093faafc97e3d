//! The message's fields that are read, borrowed from the record's text.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::config::ColumnType;
use crate::decode::json::{Text, unreadable};
use crate::decode::{DecodeError, Reason};
use crate::event::{RowSchema, WireType};

/// A flat message.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    pub(super) database: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) table: Option<Text<'a>>,
    #[serde(borrow, default, rename = "pkNames")]
    pub(super) pk_names: Option<Vec<Text<'a>>>,
    #[serde(default, rename = "isDdl")]
    pub(super) is_ddl: bool,
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Option<Text<'a>>,
    /// When the source committed it, in milliseconds since 1970.
    #[serde(default)]
    pub(super) es: Option<i64>,
    #[serde(borrow, default, rename = "mysqlType")]
    pub(super) types: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) data: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    pub(super) old: Option<Vec<Option<&'a RawValue>>>,
}

/// The columns' types in `mysqlType`. Canal writes it from the same columns as the rows, so a row that lacks
/// one of them is partial. A type that is not read is a text.
pub(super) fn types(text: &str) -> Result<Arc<RowSchema>, DecodeError> {
    let types: BTreeMap<String, String> = serde_json::from_str(text)
        .map_err(|e| unreadable(&e, "value's `mysqlType`", Reason::Envelope, "Canal's"))?;
    let columns = types
        .into_iter()
        .map(|(name, text)| {
            let column = text.parse().unwrap_or(ColumnType::Text);
            (name.into(), WireType::Mysql(column))
        })
        .collect();
    Ok(Arc::new(RowSchema::complete(columns)))
}
