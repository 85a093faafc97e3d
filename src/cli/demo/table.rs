//! The demo's table, `app.user_profile`: one column of every common type.
//!
//! The one list of its columns: the DDL, the rows that are written and the check afterwards all follow it.
//! It relies on the topic spec and the pipeline of the same name to declare the same columns.

use anyhow::Context as _;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder};

/// The database.
pub const DATABASE: &str = "app";
/// The table.
pub const TABLE: &str = "user_profile";

/// What a column holds, as far as reading it back and comparing it needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Integers of any width and sign, and years.
    Integer,
    /// Text, also an enum's member.
    Text,
    /// Exact decimals.
    Decimal,
    /// A double.
    Double,
    /// A float.
    Float,
    /// `tinyint(1)`, used for 0 and 1.
    Boolean,
    /// `bit(n)`, n above 1.
    Bits,
    /// A set of members.
    Set,
    /// A JSON text.
    Json,
    /// Bytes.
    Binary,
    /// A date.
    Date,
    /// A time of day, or a span of up to 838 hours.
    Time,
    /// A date and time without a zone.
    DateTime,
    /// A moment.
    Timestamp,
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type in DDL.
    pub sql: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// The members of `gender`.
pub const GENDERS: [&str; 3] = ["female", "male", "other"];
/// The members of `interests`, in the order of their bits.
pub const INTERESTS: [&str; 7] = [
    "pregnancy",
    "newborn",
    "toddler",
    "nutrition",
    "sleep",
    "toys",
    "books",
];

/// The columns in their order: `id` first, `rev` second.
pub const COLUMNS: [Column; 29] = [
    column("id", "bigint unsigned not null", Kind::Integer),
    column("rev", "bigint unsigned not null", Kind::Integer),
    column("nickname", "varchar(64)", Kind::Text),
    column("real_name", "varchar(64)", Kind::Text),
    column("gender", "enum('female','male','other')", Kind::Text),
    column("birthday", "date", Kind::Date),
    column("due_at", "datetime(3) null", Kind::DateTime),
    column("phone", "varchar(20)", Kind::Text),
    column("email", "varchar(128)", Kind::Text),
    column("password_hash", "char(60)", Kind::Text),
    column("city", "varchar(64)", Kind::Text),
    column("bio", "text", Kind::Text),
    column("balance", "decimal(12,2)", Kind::Decimal),
    column("score", "double", Kind::Double),
    column("height", "float", Kind::Float),
    column("level", "tinyint unsigned", Kind::Integer),
    column("is_vip", "tinyint(1)", Kind::Boolean),
    column("flags", "bit(8)", Kind::Bits),
    column(
        "interests",
        "set('pregnancy','newborn','toddler','nutrition','sleep','toys','books')",
        Kind::Set,
    ),
    column("preferences", "json", Kind::Json),
    column("avatar", "varbinary(64)", Kind::Binary),
    column("favourites", "int unsigned", Kind::Integer),
    column("followers", "mediumint", Kind::Integer),
    column("active_minutes", "smallint", Kind::Integer),
    column("quiet_from", "time", Kind::Time),
    column("last_seen", "datetime(6)", Kind::DateTime),
    column("created_at", "timestamp(3) null", Kind::Timestamp),
    column("updated_at", "timestamp(6) null", Kind::Timestamp),
    column("joined_year", "year", Kind::Integer),
];

const fn column(name: &'static str, sql: &'static str, kind: Kind) -> Column {
    Column { name, sql, kind }
}

/// Where the database is, and as whom to talk to it.
#[derive(Debug, Clone)]
pub struct Database {
    opts: Opts,
}

// === impl Column ===

impl Column {
    /// The expression whose text the check reads. The server converts what its text protocol would give as
    /// raw bytes, and floats, of which it prints six digits only.
    pub fn select(&self) -> String {
        let name = self.name;
        match self.kind {
            Kind::Bits => format!("{name} + 0"),
            Kind::Float => format!("cast({name} as double)"),
            Kind::Binary => format!("replace(to_base64({name}), '\\n', '')"),
            Kind::Integer
            | Kind::Text
            | Kind::Decimal
            | Kind::Double
            | Kind::Boolean
            | Kind::Set
            | Kind::Json
            | Kind::Date
            | Kind::Time
            | Kind::DateTime
            | Kind::Timestamp => name.to_owned(),
        }
    }
}

/// The statement that makes the table.
pub fn ddl() -> String {
    let columns: Vec<_> = COLUMNS
        .iter()
        .map(|c| format!("  {} {}", c.name, c.sql))
        .collect();
    format!(
        "CREATE TABLE IF NOT EXISTS {TABLE} (\n{},\n  PRIMARY KEY (id)\n) CHARACTER SET utf8mb4",
        columns.join(",\n")
    )
}

/// The names of all columns, separated by commas.
pub fn column_names() -> String {
    COLUMNS.map(|c| c.name).join(", ")
}

// === impl Database ===

impl Database {
    /// `address` is `host:port`.
    ///
    /// # Errors
    /// Where the address is not of that form.
    pub fn new(address: &str, user: &str, password: &str) -> anyhow::Result<Self> {
        let (host, port) = address
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
            .with_context(|| format!("the database's address '{address}' is not host:port"))?;
        let opts = OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(port)
            .user(Some(user))
            .pass(Some(password))
            // The server's socket lies where only the stack knows.
            .prefer_socket(false)
            .init(vec![
                "SET NAMES utf8mb4",
                // Timestamps are written and read as UTC, which is what the documents hold.
                "SET time_zone = '+00:00'",
            ]);
        Ok(Self { opts: opts.into() })
    }

    /// A new connection, in which [`DATABASE`] is chosen; makes the database if there is none.
    ///
    /// # Errors
    /// Where the server cannot be reached or refuses the user.
    pub async fn connect(&self) -> anyhow::Result<Conn> {
        let mut conn = Conn::new(self.opts.clone()).await.with_context(|| {
            format!(
                "cannot connect to the database at {}:{}; `deploy/local/stack status` says whether it runs",
                self.opts.ip_or_hostname(),
                self.opts.tcp_port()
            )
        })?;
        for statement in ["CREATE DATABASE IF NOT EXISTS", "USE"] {
            conn.query_drop(format!("{statement} {DATABASE}"))
                .await
                .with_context(|| format!("the database refuses `{statement} {DATABASE}`"))?;
        }
        Ok(conn)
    }

    /// Makes the table if there is none.
    ///
    /// # Errors
    /// Where the server refuses, or a table of that name has other columns.
    pub async fn create_table(&self) -> anyhow::Result<()> {
        let mut conn = self.connect().await?;
        conn.query_drop(ddl())
            .await
            .with_context(|| format!("cannot make the table {DATABASE}.{TABLE}"))?;
        let there: Vec<String> = conn
            .exec(
                "SELECT column_name FROM information_schema.columns \
                 WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position",
                (DATABASE, TABLE),
            )
            .await
            .context("cannot read the table's columns")?;
        anyhow::ensure!(
            there == COLUMNS.map(|c| c.name),
            "the table {DATABASE}.{TABLE} has other columns than the demo's ({}): \
             `deploy/local/stack clean` removes it with all other data",
            there.join(", ")
        );
        conn.disconnect().await.context("cannot close a connection")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_first_and_rev_second() {
        assert_eq!((COLUMNS[0].name, COLUMNS[1].name), ("id", "rev"));
        assert!(
            ddl().contains("  id bigint unsigned not null,\n  rev bigint unsigned not null,\n")
        );
    }

    #[test]
    fn members_are_those_of_the_ddl() {
        for (name, members) in [("gender", &GENDERS[..]), ("interests", &INTERESTS[..])] {
            let column = COLUMNS.iter().find(|c| c.name == name).unwrap();
            let quoted: Vec<_> = members.iter().map(|m| format!("'{m}'")).collect();
            assert!(column.sql.contains(&format!("({})", quoted.join(","))));
        }
    }
}
