//! Schemas of a registry, as far as they are known.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// What names a schema in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemaId {
    /// The registry's number.
    Number(u32),
    /// The GUID that newer clients write.
    Guid([u8; 16]),
}

/// Texts of Avro schemas by what names them, shared by a branch's decoders. The names of a registry never
/// change their meaning, so nothing in it grows old; it holds as many as the topic's producers have used.
#[derive(Debug, Default)]
pub struct Schemas(RwLock<HashMap<SchemaId, Arc<str>>>);

// === impl SchemaId ===

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => write!(f, "id {id}"),
            Self::Guid(bytes) => {
                f.write_str("guid ")?;
                for (i, byte) in bytes.iter().enumerate() {
                    if matches!(i, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

// === impl Schemas ===

impl Schemas {
    /// The schema's text, where it is known.
    pub fn get(&self, id: SchemaId) -> Option<Arc<str>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&id).cloned()
    }

    /// Makes a schema known.
    pub fn insert(&self, id: SchemaId, text: impl Into<Arc<str>>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(id, text.into());
    }
}
