//! Column types in MySQL's own notation, as `SHOW CREATE TABLE` writes them: `decimal(12,2)`,
//! `bigint unsigned`, `enum('a','it''s')`. Case does not count. What is wrong is answered with what would
//! have been right.

use std::str::FromStr;

use super::ColumnType;
use super::read::did_you_mean;

/// Every type that is read, for suggestions.
const NAMES: [&str; 48] = [
    "tinyint",
    "smallint",
    "mediumint",
    "int",
    "integer",
    "bigint",
    "boolean",
    "bool",
    "serial",
    "decimal",
    "dec",
    "numeric",
    "fixed",
    "float",
    "double",
    "real",
    "bit",
    "char",
    "varchar",
    "tinytext",
    "text",
    "mediumtext",
    "longtext",
    "binary",
    "varbinary",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
    "date",
    "time",
    "datetime",
    "timestamp",
    "year",
    "enum",
    "set",
    "json",
    "nchar",
    "nvarchar",
    "uuid",
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
];

/// Types that exist and are not read, for a better answer than "no such type".
const UNREAD: [&str; 3] = ["inet4", "inet6", "vector"];

/// What may follow a type.
const ATTRIBUTES: [&str; 6] = [
    "unsigned",
    "signed",
    "zerofill",
    "character set",
    "charset",
    "collate",
];

/// A type taken apart.
struct Parts<'t> {
    name: String,
    arguments: Option<Vec<Argument<'t>>>,
    unsigned: bool,
}

enum Argument<'t> {
    Number(&'t str),
    Text(String),
}

// === impl ColumnType ===

impl FromStr for ColumnType {
    type Err = String;

    /// # Errors
    /// One sentence that names what is wrong and what would have been right.
    fn from_str(text: &str) -> Result<Self, String> {
        Parts::parse(text.trim())
            .and_then(|parts| parts.column_type())
            .map_err(|wrong| format!("{text:?} is not a column type: {wrong}"))
    }
}

// === impl Parts ===

impl<'t> Parts<'t> {
    fn parse(text: &'t str) -> Result<Self, String> {
        let end = text
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let name = name.to_ascii_lowercase();
        if UNREAD.contains(&name.as_str()) {
            return Err(format!(
                "{name} is not read yet; take the column out of the capture"
            ));
        }
        if !NAMES.contains(&name.as_str()) {
            return Err(match did_you_mean(&name, NAMES) {
                Some(near) => format!("did you mean {:?}?", format!("{near}{rest}")),
                None => "write it as SHOW CREATE TABLE does, such as \"varchar(64)\" or \"bigint unsigned\"".to_owned(),
            });
        }
        let mut rest = rest.trim_start();
        // It may stand before its arguments, as in `double precision(10,7)`.
        if name == "double"
            && let Some((word, after)) = rest.split_at_checked("precision".len())
            && word.eq_ignore_ascii_case("precision")
        {
            rest = after.trim_start();
        }
        let (arguments, rest) = match rest.strip_prefix('(') {
            Some(inner) => {
                let (arguments, rest) = arguments(inner)?;
                (Some(arguments), rest)
            }
            None => (None, rest),
        };
        let mut parts = Self {
            name,
            arguments,
            unsigned: false,
        };
        parts.attributes(rest)?;
        Ok(parts)
    }

    fn attributes(&mut self, text: &str) -> Result<(), String> {
        let lower = text.to_ascii_lowercase();
        let mut words = lower.split_ascii_whitespace();
        while let Some(word) = words.next() {
            let numeric = matches!(
                self.name.as_str(),
                "tinyint"
                    | "smallint"
                    | "mediumint"
                    | "int"
                    | "integer"
                    | "bigint"
                    | "decimal"
                    | "dec"
                    | "numeric"
                    | "fixed"
                    | "float"
                    | "double"
                    | "real"
            );
            match word {
                "unsigned" | "zerofill" if numeric => self.unsigned = true,
                "signed" if numeric => {}
                "unsigned" | "signed" | "zerofill" => {
                    return Err(format!("{word} goes with numbers, not with {}", self.name));
                }
                "character" if words.next() != Some("set") || words.next().is_none() => {
                    return Err("a name is missing after CHARACTER SET".to_owned());
                }
                "character" => {}
                "charset" | "collate" if words.next().is_none() => {
                    return Err(format!("a name is missing after {word}"));
                }
                "charset" | "collate" => {}
                "not" | "null" | "default" | "comment" | "auto_increment" | "primary"
                | "unique" | "key" | "on" | "generated" | "as" | "check" | "references" => {
                    return Err(format!(
                        "write the type alone, without {}",
                        word.to_uppercase()
                    ));
                }
                other => {
                    return Err(match did_you_mean(other, ATTRIBUTES) {
                        Some(near) => format!("{other:?} is not known: did you mean {near:?}?"),
                        None => format!("{other:?} is not known after a type"),
                    });
                }
            }
        }
        Ok(())
    }

    fn column_type(self) -> Result<ColumnType, String> {
        let name = self.name.as_str();
        Ok(match name {
            "tinyint" if !self.unsigned && matches!(self.at_most_one(255)?, Some(1)) => {
                ColumnType::Boolean
            }
            "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" => {
                // The display width says nothing about the values.
                self.at_most_one(255)?;
                match (self.unsigned, name) {
                    (false, _) => ColumnType::Integer,
                    (true, "bigint") => ColumnType::BigUnsigned,
                    (true, _) => ColumnType::Unsigned,
                }
            }
            "boolean" | "bool" => self.bare(ColumnType::Boolean)?,
            "serial" => self.bare(ColumnType::BigUnsigned)?,
            "decimal" | "dec" | "numeric" | "fixed" => self.decimal()?,
            "float" | "double" | "real" => {
                self.numbers(2)?;
                ColumnType::Float
            }
            "bit" => {
                let bits = self.at_most_one(64)?.unwrap_or(1);
                if bits == 0 {
                    return Err("bit(n) has from 1 to 64 bits".to_owned());
                }
                ColumnType::Bit(bits)
            }
            "varchar" | "nvarchar" => {
                self.length(65_535, true)?;
                ColumnType::Text
            }
            "varbinary" => {
                self.length(65_535, true)?;
                ColumnType::Binary
            }
            "char" | "nchar" => {
                self.length(255, false)?;
                ColumnType::Text
            }
            "binary" => ColumnType::FixedBinary(self.at_most_one(255)?.unwrap_or(1)),
            "text" => {
                self.length(u32::MAX, false)?;
                ColumnType::Text
            }
            "blob" => {
                self.length(u32::MAX, false)?;
                ColumnType::Binary
            }
            "tinytext" | "mediumtext" | "longtext" | "uuid" => self.bare(ColumnType::Text)?,
            "tinyblob" | "mediumblob" | "longblob" => self.bare(ColumnType::Binary)?,
            "date" => self.bare(ColumnType::Date)?,
            "time" => ColumnType::Time(self.at_most_one(6)?.unwrap_or(0)),
            "datetime" => ColumnType::DateTime(self.at_most_one(6)?.unwrap_or(0)),
            "timestamp" => ColumnType::Timestamp(self.at_most_one(6)?.unwrap_or(0)),
            "year" => match self.at_most_one(4)? {
                None | Some(4) => ColumnType::Year,
                Some(_) => return Err("did you mean \"year\"?".to_owned()),
            },
            "enum" => ColumnType::Enum(self.members(65_535)?),
            "set" => {
                let members = self.members(64)?;
                if let Some(member) = members.iter().find(|member| member.contains(',')) {
                    return Err(format!(
                        "a set parts its members by commas, so {member:?} cannot be one"
                    ));
                }
                ColumnType::Set(members)
            }
            "json" => self.bare(ColumnType::Json)?,
            "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
            | "multipolygon" | "geometrycollection" => self.bare(ColumnType::Geometry)?,
            other => return Err(format!("{other} is not read")),
        })
    }

    fn bare(&self, column: ColumnType) -> Result<ColumnType, String> {
        match self.arguments {
            None => Ok(column),
            Some(_) => Err(format!("did you mean {:?}?", self.name)),
        }
    }

    /// Up to `most` numbers.
    fn numbers(&self, most: usize) -> Result<Vec<u32>, String> {
        let Some(arguments) = &self.arguments else {
            return Ok(Vec::new());
        };
        let numbers = arguments.iter().map(|argument| match argument {
            Argument::Number(text) => text.parse().ok(),
            Argument::Text(_) => None,
        });
        match numbers.collect::<Option<Vec<u32>>>() {
            Some(numbers) if (1..=most).contains(&numbers.len()) => Ok(numbers),
            Some(_) | None if most == 1 => Err(format!("{}(n) takes one whole number", self.name)),
            Some(_) | None => Err(format!("{}(m,d) takes two whole numbers", self.name)),
        }
    }

    fn at_most_one(&self, most: u8) -> Result<Option<u8>, String> {
        match self.numbers(1)?.first() {
            None => Ok(None),
            Some(number) => match u8::try_from(*number) {
                Ok(number) if number <= most => Ok(Some(number)),
                Ok(_) | Err(_) => Err(format!("{}(n) takes at most {most}", self.name)),
            },
        }
    }

    fn length(&self, most: u32, needed: bool) -> Result<(), String> {
        match self.numbers(1)?.first() {
            None if needed => Err(format!(
                "{} needs a length: did you mean \"{}(64)\"?",
                self.name, self.name
            )),
            Some(length) if *length > most => Err(format!("{}(n) takes at most {most}", self.name)),
            None | Some(_) => Ok(()),
        }
    }

    fn decimal(&self) -> Result<ColumnType, String> {
        let numbers = self.numbers(2)?;
        let precision = numbers.first().copied().unwrap_or(10);
        let scale = numbers.get(1).copied().unwrap_or(0);
        match (u8::try_from(precision), u8::try_from(scale)) {
            (Ok(1..=65), Ok(0..=30)) if scale > precision => Err(format!(
                "its scale {scale} is above its precision {precision}"
            )),
            (Ok(precision @ 1..=65), Ok(scale @ 0..=30)) => {
                Ok(ColumnType::Decimal { precision, scale })
            }
            (Ok(_) | Err(_), Ok(_) | Err(_)) => {
                Err("decimal(p,s) has a precision from 1 to 65 and a scale from 0 to 30".to_owned())
            }
        }
    }

    fn members(&self, most: usize) -> Result<Vec<String>, String> {
        let needed = || {
            format!(
                "{} needs its members: did you mean \"{}('a','b')\"?",
                self.name, self.name
            )
        };
        let members: Option<Vec<String>> = self
            .arguments
            .iter()
            .flatten()
            .map(|argument| match argument {
                Argument::Text(text) => Some(text.clone()),
                Argument::Number(_) => None,
            })
            .collect();
        let members = members
            .filter(|members| !members.is_empty())
            .ok_or_else(needed)?;
        if members.len() > most {
            return Err(format!("{} has at most {most} members", self.name));
        }
        let mut seen = std::collections::BTreeSet::new();
        if let Some(twice) = members.iter().find(|member| !seen.insert(member.as_str())) {
            return Err(format!("its member {twice:?} is there twice"));
        }
        Ok(members)
    }
}

/// The arguments up to the closing parenthesis, and what follows it.
fn arguments(text: &str) -> Result<(Vec<Argument<'_>>, &str), String> {
    let open = || "a closing ) is missing".to_owned();
    let mut arguments = Vec::new();
    let mut rest = text.trim_start();
    loop {
        if let Some(quoted) = rest.strip_prefix('\'') {
            let (member, tail) = member(quoted)?;
            arguments.push(Argument::Text(member));
            rest = tail;
        } else {
            let end = rest.find([',', ')']).ok_or_else(open)?;
            let (number, tail) = rest.split_at(end);
            arguments.push(Argument::Number(number.trim()));
            rest = tail;
        }
        rest = rest.trim_start();
        if let Some(tail) = rest.strip_prefix(',') {
            rest = tail.trim_start();
        } else if let Some(tail) = rest.strip_prefix(')') {
            return Ok((arguments, tail));
        } else if rest.is_empty() {
            return Err(open());
        } else {
            return Err("members stand in single quotes with commas between: 'a','b'".to_owned());
        }
    }
}

/// A member up to its closing quote, and what follows it. A quote inside is doubled or follows a backslash,
/// as in any SQL text.
fn member(text: &str) -> Result<(String, &str), String> {
    let mut member = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => match text.get(at + 1..) {
                Some(tail) if tail.starts_with('\'') => {
                    member.push('\'');
                    chars.next();
                }
                tail => return Ok((member, tail.unwrap_or_default())),
            },
            '\\' => match chars.next() {
                Some((_, 'n')) => member.push('\n'),
                Some((_, 't')) => member.push('\t'),
                Some((_, 'r')) => member.push('\r'),
                Some((_, '0')) => member.push('\0'),
                Some((_, other)) => member.push(other),
                None => break,
            },
            other => member.push(other),
        }
    }
    Err("a closing ' is missing".to_owned())
}

#[cfg(test)]
mod tests;
