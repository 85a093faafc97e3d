use super::*;

fn texts(members: &[&str]) -> Vec<String> {
    members.iter().map(|member| (*member).to_owned()).collect()
}

#[test]
fn every_type_is_read_as_mysql_writes_it() {
    let decimal = |precision, scale| ColumnType::Decimal { precision, scale };
    for (text, expected) in [
        ("tinyint", ColumnType::Integer),
        ("tinyint(4)", ColumnType::Integer),
        ("tinyint(1)", ColumnType::Boolean),
        ("TINYINT(1)", ColumnType::Boolean),
        ("boolean", ColumnType::Boolean),
        ("bool", ColumnType::Boolean),
        ("tinyint(1) unsigned", ColumnType::Unsigned),
        ("smallint(5) unsigned zerofill", ColumnType::Unsigned),
        ("mediumint", ColumnType::Integer),
        ("int(11)", ColumnType::Integer),
        ("INT UNSIGNED", ColumnType::Unsigned),
        ("integer signed", ColumnType::Integer),
        ("bigint", ColumnType::Integer),
        ("bigint(20) unsigned", ColumnType::BigUnsigned),
        ("serial", ColumnType::BigUnsigned),
        ("decimal(12,2)", decimal(12, 2)),
        ("decimal( 12 , 2 ) unsigned", decimal(12, 2)),
        ("numeric(5)", decimal(5, 0)),
        ("dec", decimal(10, 0)),
        ("decimal(65,30)", decimal(65, 30)),
        ("float", ColumnType::Float),
        ("float(7,3)", ColumnType::Float),
        ("double precision", ColumnType::Float),
        ("DOUBLE PRECISION(10,7) unsigned", ColumnType::Float),
        ("real", ColumnType::Float),
        ("bit", ColumnType::Bit(1)),
        ("bit(13)", ColumnType::Bit(13)),
        ("char(60)", ColumnType::Text),
        ("char", ColumnType::Text),
        (
            "varchar(64) character set utf8mb4 collate utf8mb4_bin",
            ColumnType::Text,
        ),
        ("mediumtext", ColumnType::Text),
        ("longtext charset utf8mb4", ColumnType::Text),
        ("uuid", ColumnType::Text),
        ("binary(16)", ColumnType::FixedBinary(16)),
        ("binary", ColumnType::FixedBinary(1)),
        ("varbinary(16)", ColumnType::Binary),
        ("longblob", ColumnType::Binary),
        ("date", ColumnType::Date),
        ("time", ColumnType::Time(0)),
        ("time(6)", ColumnType::Time(6)),
        ("datetime(3)", ColumnType::DateTime(3)),
        ("timestamp", ColumnType::Timestamp(0)),
        ("timestamp(6)", ColumnType::Timestamp(6)),
        ("year", ColumnType::Year),
        ("year(4)", ColumnType::Year),
        ("json", ColumnType::Json),
        ("enum('a')", ColumnType::Enum(texts(&["a"]))),
        (
            "ENUM('a','b,c','it''s')",
            ColumnType::Enum(texts(&["a", "b,c", "it's"])),
        ),
        (
            "enum('', ')', 'b\\'c', 'A')",
            ColumnType::Enum(texts(&["", ")", "b'c", "A"])),
        ),
        ("set('x','y')", ColumnType::Set(texts(&["x", "y"]))),
        ("point", ColumnType::Geometry),
        ("GEOMETRYCOLLECTION", ColumnType::Geometry),
    ] {
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
}

#[test]
fn a_wrong_type_is_answered_with_the_right_one() {
    for (text, expected) in [
        ("varchr(64)", "did you mean \"varchar(64)\"?"),
        (
            "bigint unsinged",
            "\"unsinged\" is not known: did you mean \"unsigned\"?",
        ),
        ("date time", "\"time\" is not known after a type"),
        ("datetme(3)", "did you mean \"datetime(3)\"?"),
        (
            "money",
            "write it as SHOW CREATE TABLE does, such as \"varchar(64)\" or \"bigint unsigned\"",
        ),
        (
            "",
            "write it as SHOW CREATE TABLE does, such as \"varchar(64)\" or \"bigint unsigned\"",
        ),
        (
            "inet6",
            "inet6 is not read yet; take the column out of the capture",
        ),
        ("int not null", "write the type alone, without NOT"),
        (
            "varchar",
            "varchar needs a length: did you mean \"varchar(64)\"?",
        ),
        ("varchar(70000)", "varchar(n) takes at most 65535"),
        ("char(256)", "char(n) takes at most 255"),
        ("text unsigned", "unsigned goes with numbers, not with text"),
        ("json(3)", "did you mean \"json\"?"),
        ("bool(1)", "did you mean \"bool\"?"),
        ("date(3)", "did you mean \"date\"?"),
        ("year(2)", "did you mean \"year\"?"),
        ("time(7)", "time(n) takes at most 6"),
        ("bit(0)", "bit(n) has from 1 to 64 bits"),
        ("bit(65)", "bit(n) takes at most 64"),
        ("int()", "int(n) takes one whole number"),
        ("int(a)", "int(n) takes one whole number"),
        ("decimal(12.2)", "decimal(m,d) takes two whole numbers"),
        (
            "decimal(66,2)",
            "decimal(p,s) has a precision from 1 to 65 and a scale from 0 to 30",
        ),
        (
            "decimal(0)",
            "decimal(p,s) has a precision from 1 to 65 and a scale from 0 to 30",
        ),
        ("decimal(2,5)", "its scale 5 is above its precision 2"),
        ("decimal(12,2", "a closing ) is missing"),
        (
            "enum",
            "enum needs its members: did you mean \"enum('a','b')\"?",
        ),
        (
            "enum()",
            "enum needs its members: did you mean \"enum('a','b')\"?",
        ),
        (
            "enum(a,b)",
            "enum needs its members: did you mean \"enum('a','b')\"?",
        ),
        (
            "enum('a' 'b')",
            "members stand in single quotes with commas between: 'a','b'",
        ),
        ("enum('a','b)", "a closing ' is missing"),
        (
            "set('a','b,c')",
            "a set parts its members by commas, so \"b,c\" cannot be one",
        ),
        ("set('a','a')", "its member \"a\" is there twice"),
    ] {
        let expected = Err(format!("{text:?} is not a column type: {expected}"));
        assert_eq!(text.parse::<ColumnType>(), expected, "{text}");
    }
}

#[test]
fn bounds_of_members_are_mysqls() {
    let of = |name: &str, n: usize| {
        let members: Vec<String> = (0..n).map(|i| format!("'m{i}'")).collect();
        format!("{name}({})", members.join(",")).parse::<ColumnType>()
    };
    assert!(of("set", 64).is_ok());
    assert!(
        of("set", 65)
            .unwrap_err()
            .ends_with("set has at most 64 members")
    );
    assert!(of("enum", 65_535).is_ok());
    assert!(
        of("enum", 65_536)
            .unwrap_err()
            .ends_with("enum has at most 65535 members")
    );
}
