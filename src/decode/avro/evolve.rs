//! Whether what was written with one schema is read with another, by the rules of Avro's own schema resolution.
//! The reference implementation decides; what is added here is which field is at fault.

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};

/// What a reader with one schema cannot read of what is written with the other: a sentence for each field at
/// fault, and none where it reads everything.
///
/// # Errors
/// One sentence where either text is no Avro schema.
pub fn unreadable(writer: &str, reader: &str) -> Result<Vec<String>, String> {
    let parse = |text| Schema::parse_str(text).map_err(|e| e.to_string());
    let (writer, reader) = (parse(writer)?, parse(reader)?);
    let why = match SchemaCompatibility::can_read(&writer, &reader) {
        Ok(Compatibility::Full) => return Ok(Vec::new()),
        Ok(Compatibility::Partial) => "some values have no place in it".to_owned(),
        Err(why) => why.to_string(),
    };
    let mut faults = Vec::new();
    fields(&writer, &reader, "", &mut faults);
    if faults.is_empty() {
        faults.push(why);
    }
    Ok(faults)
}

fn fields(writer: &Schema, reader: &Schema, path: &str, faults: &mut Vec<String>) {
    let (Schema::Record(writer), Schema::Record(reader)) = (writer, reader) else {
        return;
    };
    for field in &reader.fields {
        let path = if path.is_empty() {
            field.name.clone()
        } else {
            format!("{path}.{}", field.name)
        };
        let is = |name: &str| name == field.name || field.aliases.iter().any(|alias| alias == name);
        let Some(written) = writer.fields.iter().find(|written| is(&written.name)) else {
            if field.default.is_none() {
                faults.push(format!(
                    "the field `{path}` is not written, and has no default to be read as"
                ));
            }
            continue;
        };
        let why = match SchemaCompatibility::can_read(&written.schema, &field.schema) {
            Ok(Compatibility::Full) => continue,
            Ok(Compatibility::Partial) => {
                "some of the values that are written have no place in the type that it is read as"
                    .to_owned()
            }
            Err(why) => why.to_string(),
        };
        let before = faults.len();
        fields(&written.schema, &field.schema, &path, faults);
        if faults.len() == before {
            faults.push(format!("the field `{path}`: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &str) -> String {
        format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
    }

    const ID: &str = r#"{"name":"id","type":"long"}"#;

    #[test]
    fn what_is_read_whole_has_no_fault() {
        let old = record(ID);
        let new = record(&format!(
            r#"{ID},{{"name":"note","type":["null","string"],"default":null}}"#
        ));
        assert_eq!(unreadable(&old, &new), Ok(vec![]));
        assert_eq!(unreadable(&new, &old), Ok(vec![]));
        assert_eq!(unreadable(&old, &old), Ok(vec![]));
    }

    #[test]
    fn every_field_at_fault_is_named() {
        let old = record(&format!(
            r#"{ID},{{"name":"n","type":"string"}},{{"name":"in","type":{{"type":"record","name":"I","fields":[]}}}}"#
        ));
        let new = record(
            r#"{"name":"id","type":"int"},{"name":"n","type":"string"},{"name":"at","type":"long"},
            {"name":"in","type":{"type":"record","name":"I","fields":[{"name":"x","type":"int"}]}}"#,
        );
        let faults = unreadable(&old, &new).unwrap();
        assert_eq!(faults.len(), 3, "{faults:?}");
        for (fault, field) in faults.iter().zip(["`id`", "`at`", "`in.x`"]) {
            assert!(fault.contains(field), "{fault}");
        }
    }

    #[test]
    fn an_enum_that_has_lost_a_member_does_not_read_it() {
        let kind = |symbols: &str| {
            record(&format!(
                r#"{{"name":"kind","type":{{"type":"enum","name":"K","symbols":[{symbols}]}}}}"#
            ))
        };
        let (few, many) = (kind(r#""A""#), kind(r#""A","B""#));
        assert_eq!(unreadable(&few, &many), Ok(vec![]));
        let faults = unreadable(&many, &few).unwrap();
        assert!(faults[0].contains("`kind`"), "{faults:?}");
    }

    #[test]
    fn what_is_no_schema_is_said_to_be_none() {
        assert!(unreadable("\"int\"", "nonsense").is_err());
    }
}
