//! A change into a batch.

use crate::config::{DocumentSpec, TopicSpec};
use crate::decode::{DecodeError, Reason};
use crate::event::{Batch, Change, Draft, Key, Op, Origin, Row, Shape};

use super::convert::{Fault, Form};
use super::id::IdTemplate;
use super::key::KeyReader;
use super::mask;
use super::plan::{Action, Column, MAX_FIELDS, Plan, Rules};
use super::scan::{Members, Value};

/// Plans kept, one for each schema met last; as many as a decoder keeps schemas.
const PLANS: usize = 8;

/// How one branch makes writes of changes.
#[derive(Debug)]
pub struct Projection {
    shape: Shape,
    key: KeyReader,
    rules: Rules,
    plans: Vec<Plan>,
    scratch: Scratch,
}

#[derive(Debug, Default)]
struct Scratch {
    /// A string without its escapes.
    text: Vec<u8>,
    /// A converted value that is to be masked.
    unmasked: Vec<u8>,
}

// === impl Projection ===

impl Projection {
    /// Compiles the projection of a topic's rows into documents of `shape`.
    ///
    /// # Errors
    /// Where two columns would be one field, a field would have the name of one of the lane's own, or the id
    /// template is not of this topic's key.
    pub fn new(
        topic: &TopicSpec,
        document: &DocumentSpec,
        shape: Shape,
        id: IdTemplate,
    ) -> Result<Self, String> {
        Ok(Self {
            shape,
            key: KeyReader::new(topic, id)?,
            rules: Rules::new(topic, document)?,
            plans: Vec::new(),
            scratch: Scratch::default(),
        })
    }

    /// Appends one change to a batch of the projection's shape and returns the write's index in it. On an
    /// error the batch is as it was. A row that has not been checked is: what becomes a document is JSON.
    ///
    /// # Errors
    /// [`DecodeError`] where the key or the row is not what the topic's spec says, or may not become a document.
    pub fn write(
        &mut self,
        change: &Change<'_>,
        origin: Origin,
        batch: &mut Batch,
    ) -> Result<u32, DecodeError> {
        debug_assert_eq!(batch.shape(), self.shape);
        let mut draft = batch.draft();
        draft.id(|out| self.key.write(&change.key, out))?;
        let row = match (change.op, &change.after) {
            (Op::Delete, _) => return Ok(draft.commit_delete(origin)),
            (Op::Upsert, Some(row)) => row,
            (Op::Upsert, None) => {
                return Err(DecodeError::new(Reason::Envelope, "the change has no row"));
            }
        };
        let start = draft.arena().len();
        self.row(row, &mut draft)?;
        Ok(match self.shape {
            Shape::Json => draft.commit_json(start, origin),
            Shape::Fields => draft.commit_fields(origin),
        })
    }

    /// Appends the id that a key makes.
    ///
    /// # Errors
    /// As [`Projection::write`], for the key.
    pub fn id(&mut self, key: &Key<'_>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        self.key.write(key, out)
    }

    fn row(&mut self, row: &Row<'_>, draft: &mut Draft<'_>) -> Result<(), DecodeError> {
        self.use_plan(row);
        let Some(plan) = self.plans.first_mut() else {
            return Ok(());
        };
        plan.begin();
        let start = draft.arena().len();
        let mut fields = 0;
        let members = if row.checked {
            Members::of(&row.object)
        } else {
            Members::unchecked(&row.object)
        };
        let mut members = members.map_err(|_| broken(&row.object))?;
        loop {
            let column = match plan.expected() {
                Some(expected) if members.is_next(expected) => plan.take_expected()?,
                Some(_) | None => match members.name().map_err(|_| broken(&row.object))? {
                    Some(name) => plan.next(name, &self.rules)?,
                    None => break,
                },
            };
            let value = members.value().map_err(|_| broken(&row.object))?;
            fields += 1;
            match self.shape {
                Shape::Json => {
                    json(column, value, &mut self.scratch, &mut fields, draft.arena())?;
                }
                Shape::Fields => field(column, value, &mut self.scratch, &mut fields, draft)?,
            }
            if fields > MAX_FIELDS {
                return Err(DecodeError::new(
                    Reason::Limit,
                    format!("the row has more than {MAX_FIELDS} fields, nested ones counted"),
                ));
            }
        }
        plan.end(&self.rules)?;
        if self.shape == Shape::Json {
            let arena = draft.arena();
            match arena.get_mut(start) {
                // Each field began with a comma.
                Some(first) => *first = b'{',
                None => arena.push(b'{'),
            }
            arena.push(b'}');
        }
        Ok(())
    }

    /// Brings the plan for the row's schema to the front.
    fn use_plan(&mut self, row: &Row<'_>) {
        let schema = row.schema.as_ref();
        match self.plans.iter().position(|plan| plan.is_for(schema)) {
            Some(0) => {}
            Some(at) => {
                if let Some(plans) = self.plans.get_mut(..=at) {
                    plans.rotate_right(1);
                }
            }
            None => {
                self.plans.truncate(PLANS - 1);
                let plan = Plan::new(schema.cloned(), &self.rules);
                self.plans.insert(0, plan);
            }
        }
    }
}

/// `,"name":value`
#[inline]
fn json(
    column: &Column,
    value: Value<'_>,
    scratch: &mut Scratch,
    fields: &mut usize,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let (field, conversion, masked) = match &column.action {
        Action::Omit => return Ok(()),
        Action::Refuse(error) => return Err(error.clone()),
        Action::Write {
            field,
            conversion,
            mask,
        } => (field, conversion, *mask),
    };
    out.extend_from_slice(&field.json);
    if value == Value::Null {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    let start = out.len();
    let text = &mut scratch.text;
    let written = match masked {
        None => conversion.write(value, Form::Json, text, fields, out),
        Some(_) => {
            scratch.unmasked.clear();
            conversion.write(value, Form::Text, text, &mut 0, &mut scratch.unmasked)
        }
    };
    match written {
        Ok(()) => {}
        Err(Fault::Null) => {
            out.truncate(start);
            out.extend_from_slice(b"null");
            return Ok(());
        }
        Err(fault) => return Err(column.error(fault)),
    }
    let Some(masked) = masked else {
        return Ok(());
    };
    out.push(b'"');
    let text = std::str::from_utf8(&scratch.unmasked).unwrap_or_default();
    mask::write(masked, text, true, out);
    out.push(b'"');
    Ok(())
}

/// Name and value, packed; nothing for a null.
#[inline]
fn field(
    column: &Column,
    value: Value<'_>,
    scratch: &mut Scratch,
    fields: &mut usize,
    draft: &mut Draft<'_>,
) -> Result<(), DecodeError> {
    let (field, conversion, masked) = match &column.action {
        Action::Omit => return Ok(()),
        Action::Refuse(error) => return Err(error.clone()),
        Action::Write {
            field,
            conversion,
            mask,
        } => (field, conversion, *mask),
    };
    if value == Value::Null {
        return Ok(());
    }
    let begun = draft.begin_field(&field.packed);
    let out = draft.arena();
    let written = match masked {
        None => conversion.write(value, Form::Text, &mut scratch.text, fields, out),
        Some(_) => {
            scratch.unmasked.clear();
            let unmasked = &mut scratch.unmasked;
            conversion.write(value, Form::Text, &mut scratch.text, &mut 0, unmasked)
        }
    };
    match written {
        Ok(()) => {}
        Err(Fault::Null) => {
            draft.drop_field(&begun);
            return Ok(());
        }
        Err(fault) => return Err(column.error(fault)),
    }
    if let Some(masked) = masked {
        let text = std::str::from_utf8(&scratch.unmasked).unwrap_or_default();
        mask::write(masked, text, false, out);
    }
    draft.end_field(&begun);
    Ok(())
}

fn broken(object: &str) -> DecodeError {
    let bytes = object.len();
    DecodeError::new(
        Reason::Malformed,
        format!("the row is not a JSON object ({bytes} bytes)"),
    )
}

#[cfg(test)]
mod tests;
