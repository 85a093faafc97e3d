//! Things made of texts that repeat from record to record, such as schemas: made once, found again by their
//! text.

/// Kept at once. Partitions of one topic show an ALTER at different times, so a worker meets the old and the
/// new schema in turns; more than a handful at once is not seen.
const KNOWN: usize = 8;

/// The things met last, the latest first.
#[derive(Debug)]
pub(super) struct Known<T>(Vec<(Box<str>, T)>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

// === impl Known ===

impl<T: Clone> Known<T> {
    /// What the text makes, made now if it is new.
    pub(super) fn get<E>(
        &mut self,
        text: &str,
        make: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, E> {
        if let Some(at) = self.0.iter().position(|(known, _)| **known == *text) {
            if let Some(upto) = self.0.get_mut(..=at) {
                upto.rotate_right(1);
            }
            if let Some((_, made)) = self.0.first() {
                return Ok(made.clone());
            }
        }
        let made = make(text)?;
        self.0.truncate(KNOWN - 1);
        self.0.insert(0, (text.into(), made.clone()));
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_made_once_until_others_push_it_out() {
        let mut known = Known::default();
        let mut made = 0;
        let mut get = |text: &str| {
            known
                .get(text, |text| {
                    made += 1;
                    Ok::<_, ()>(text.len())
                })
                .unwrap()
        };
        assert_eq!((get("a"), get("bb"), get("a")), (1, 2, 1));
        for n in 0..KNOWN - 1 {
            get(&format!("c{n}"));
        }
        assert_eq!(get("a"), 1);
        assert_eq!(get("bb"), 2);
        assert_eq!(made, 2 + KNOWN - 1 + 1);
    }
}
