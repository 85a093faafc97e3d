//! What stands before an Avro body: which schema it was written with.
//!
//! With a schema registry (Confluent's wire format) a zero byte and the schema's number in four bytes, big
//! endian; or a one and its GUID in 16 bytes; or nothing, and the same bytes in a header of the record. Without
//! one (Avro's single-object encoding) C3 01 and the schema's fingerprint in eight bytes, little endian.

use crate::decode::{DecodeError, Reason, SchemaId};
use crate::event::Headers;

/// Which part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Key,
    Value,
}

// === impl Side ===

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Value => "value",
        }
    }

    /// The header that may name its schema.
    fn header(self) -> &'static str {
        match self {
            Self::Key => "__key_schema_id",
            Self::Value => "__value_schema_id",
        }
    }
}

/// The schema's name and the body.
pub(crate) fn frame<'a>(
    bytes: &'a [u8],
    headers: Headers<'_>,
    side: Side,
) -> Result<(SchemaId, &'a [u8]), DecodeError> {
    let header = headers
        .iter()
        .find_map(|(name, value)| (name == side.header()).then_some(value).flatten());
    if let Some(header) = header {
        return match id(header) {
            Some((id, [])) => Ok((id, bytes)),
            Some(_) | None => Err(DecodeError::new(
                Reason::Malformed,
                format!("the header {} names no schema", side.header()),
            )),
        };
    }
    id(bytes).ok_or_else(|| {
        let which = side.name();
        DecodeError::new(
            Reason::Malformed,
            format!(
                "the {which} does not begin with a schema's id: is the connector's {which}.converter the AvroConverter of a schema registry?"
            ),
        )
    })
}

fn id(bytes: &[u8]) -> Option<(SchemaId, &[u8])> {
    let (magic, rest) = bytes.split_first()?;
    match magic {
        0 => {
            let (id, rest) = rest.split_first_chunk::<4>()?;
            Some((SchemaId::Number(u32::from_be_bytes(*id)), rest))
        }
        1 => {
            let (guid, rest) = rest.split_first_chunk::<16>()?;
            Some((SchemaId::Guid(*guid), rest))
        }
        _ => None,
    }
}

/// The fingerprint and the body of Avro's single-object encoding, where it is that.
pub(crate) fn single_object(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let rest = bytes.strip_prefix(&[0xc3, 0x01])?;
    let (fingerprint, rest) = rest.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*fingerprint), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_named_before_the_body_or_in_a_header() {
        let none = Headers::default();
        let body = [0, 0, 0, 1, 2, 9, 8];
        let framed = frame(&body, none, Side::Value).unwrap();
        assert_eq!(framed, (SchemaId::Number(258), &[9, 8][..]));
        // The vector of Confluent's own clients.
        let guid = [
            0x89, 0x79, 0x17, 0x62, 0x23, 0x36, 0x41, 0x86, 0x96, 0x74, 0x29, 0x9b, 0x90, 0xa8,
            0x02, 0xe2,
        ];
        let mut long = vec![1];
        long.extend_from_slice(&guid);
        let mut packed = Vec::new();
        Headers::push(&mut packed, "__value_schema_id", Some(&long));
        let id = SchemaId::Guid(guid);
        assert_eq!(id.to_string(), "guid 89791762-2336-4186-9674-299b90a802e2");
        let headers = Headers::packed(&packed);
        assert_eq!(frame(&[7], headers, Side::Value).unwrap(), (id, &[7][..]));
        // The header is the value's alone.
        assert!(frame(&[7], headers, Side::Key).is_err());
        long.push(5);
        assert_eq!(frame(&long, none, Side::Key).unwrap(), (id, &[5][..]));
    }

    #[test]
    fn what_names_no_schema_is_an_error() {
        let none = Headers::default();
        for bytes in [
            &[][..],
            &[0],
            &[0, 1, 2, 3],
            &[1, 2],
            &[2, 0, 0, 0, 1],
            b"{}",
        ] {
            let error = frame(bytes, none, Side::Value).unwrap_err();
            assert_eq!(error.reason, Reason::Malformed);
        }
        let mut packed = Vec::new();
        Headers::push(&mut packed, "__value_schema_id", Some(&[0, 1]));
        let headers = Headers::packed(&packed);
        assert!(frame(&[0, 0, 0, 0, 1], headers, Side::Value).is_err());
    }
}
