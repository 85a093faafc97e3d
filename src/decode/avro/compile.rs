//! From a schema's JSON to [`AvroSchema`]. What is read here and not by the reference implementation are the
//! attributes that Kafka Connect puts beside a type (`connect.name`, `connect.parameters`): they alone say
//! that a `long` is a time.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::schema::{AvroSchema, Field, Node};
use crate::decode::connect;
use crate::event::{TimeUnit, WireType};

/// Types in one schema at the most. The widest table has some thousand columns, twice in an envelope.
const MAX_NODES: usize = 65_536;

pub(super) fn compile(text: &str) -> Result<AvroSchema, String> {
    let json: Value = serde_json::from_str(text).map_err(|e| format!("it is not JSON: {e}"))?;
    let mut compiler = Compiler {
        nodes: Vec::new(),
        named: HashMap::new(),
    };
    let root = compiler.node(&json, "")?;
    Ok(AvroSchema {
        nodes: compiler.nodes,
        root,
    })
}

struct Compiler {
    nodes: Vec<Node>,
    /// Named types by their full names.
    named: HashMap<String, usize>,
}

// === impl Compiler ===

impl Compiler {
    fn add(&mut self, node: Node) -> Result<usize, String> {
        if self.nodes.len() >= MAX_NODES {
            return Err(format!("it has more than {MAX_NODES} types"));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    fn node(&mut self, json: &Value, namespace: &str) -> Result<usize, String> {
        match json {
            Value::String(name) => self.by_name(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.node(branch, namespace));
                let branches = branches.collect::<Result<_, _>>()?;
                self.add(Node::Union(branches))
            }
            Value::Object(object) => self.object(object, namespace),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                Err("a type is neither a name, nor an object, nor a list".into())
            }
        }
    }

    fn by_name(&mut self, name: &str, namespace: &str) -> Result<usize, String> {
        if let Some(node) = primitive(name) {
            return self.add(node);
        }
        let full = full_name(name, namespace);
        self.named
            .get(&full)
            .copied()
            .ok_or_else(|| format!("its type {full:?} is defined nowhere before it is used"))
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<usize, String> {
        let kind = object.get("type").ok_or("a type has no `type`")?;
        let Value::String(kind) = kind else {
            return self.node(kind, namespace);
        };
        match kind.as_str() {
            "array" => {
                let items = object.get("items").ok_or("an array has no `items`")?;
                let items = self.node(items, namespace)?;
                self.add(Node::Array(items))
            }
            "map" => {
                let values = object.get("values").ok_or("a map has no `values`")?;
                let values = self.node(values, namespace)?;
                self.add(Node::Map(values))
            }
            "fixed" => {
                let size = object.get("size").and_then(Value::as_u64);
                let size = size.and_then(|size| usize::try_from(size).ok());
                let at = self.add(Node::Fixed(size.ok_or("a fixed has no `size`")?))?;
                self.name(object, namespace, at).map(|_| at)
            }
            "enum" => {
                let symbols = object.get("symbols").and_then(Value::as_array);
                let symbols = symbols
                    .ok_or("an enum has no `symbols`")?
                    .iter()
                    .map(|symbol| symbol.as_str().map(Box::from));
                let symbols = symbols.collect::<Option<_>>();
                let at = self.add(Node::Enum(symbols.ok_or("an enum's symbol is no text")?))?;
                self.name(object, namespace, at).map(|_| at)
            }
            "record" | "error" => {
                let at = self.add(Node::Open)?;
                let namespace = self.name(object, namespace, at)?;
                let fields = object.get("fields").and_then(Value::as_array);
                let fields = fields
                    .ok_or("a record has no `fields`")?
                    .iter()
                    .map(|field| self.field(field, &namespace));
                let fields = fields.collect::<Result<_, _>>()?;
                if let Some(open) = self.nodes.get_mut(at) {
                    *open = Node::Record(fields);
                }
                Ok(at)
            }
            name => self.by_name(name, namespace),
        }
    }

    /// Makes a named type known and returns the namespace of what is in it.
    fn name(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        at: usize,
    ) -> Result<String, String> {
        let name = object.get("name").and_then(Value::as_str);
        let name = name.ok_or("a named type has no `name`")?;
        let own = object.get("namespace").and_then(Value::as_str);
        let full = full_name(name, own.unwrap_or(namespace));
        let namespace = full.rsplit_once('.').map_or("", |(space, _)| space).into();
        if self.named.insert(full.clone(), at).is_some() {
            return Err(format!("its type {full:?} is defined twice"));
        }
        Ok(namespace)
    }

    fn field(&mut self, field: &Value, namespace: &str) -> Result<Field, String> {
        let name = field.get("name").and_then(Value::as_str);
        let name = name.ok_or("a field has no `name`")?;
        let in_field = |wrong: String| format!("{wrong} (field {name:?})");
        let kind = field.get("type").ok_or("a field has no `type`")?;
        let node = self.node(kind, namespace).map_err(in_field)?;
        let wire = self
            .wire(kind, node)
            .map_err(|parameter| format!("field {name:?} has no usable `{parameter}`"))?;
        let default = field.get("default").map(|json| self.default(json, node));
        Ok(Field::new(name, node, wire, default.map(Into::into)))
    }

    /// The representation of a field's values; of a union, of its only branch beside null.
    fn wire(&self, json: &Value, node: usize) -> Result<WireType, &'static str> {
        match json {
            Value::Array(branches) => {
                let Some(Node::Union(nodes)) = self.nodes.get(node) else {
                    return Ok(WireType::Nested);
                };
                let mut others = branches
                    .iter()
                    .zip(nodes)
                    .filter(|(_, node)| self.nodes.get(**node) != Some(&Node::Null));
                match (others.next(), others.next()) {
                    (Some((json, node)), None) => self.wire(json, *node),
                    (Some(_) | None, _) => Ok(WireType::Nested),
                }
            }
            Value::Object(object) => {
                if let Some(name) = object.get("connect.name").and_then(Value::as_str) {
                    let parameters = object.get("connect.parameters");
                    let parameter = |name| parameters.and_then(|p| p.get(name)?.as_str());
                    let logical = connect::logical(name, parameter("scale"), parameter("length"));
                    if let Some(logical) = logical {
                        return logical;
                    }
                }
                match object.get("logicalType").and_then(Value::as_str) {
                    Some(name) => match logical(name, object) {
                        Some(wire) => wire,
                        None => Ok(self.plain(node)),
                    },
                    None => match object.get("type") {
                        Some(inner @ (Value::Object(_) | Value::Array(_))) => {
                            self.wire(inner, node)
                        }
                        Some(_) | None => Ok(self.plain(node)),
                    },
                }
            }
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {
                Ok(self.plain(node))
            }
        }
    }

    fn plain(&self, node: usize) -> WireType {
        match self.nodes.get(node) {
            Some(Node::Int | Node::Long) => WireType::Integer,
            Some(Node::Float | Node::Double) => WireType::Float,
            Some(Node::Boolean) => WireType::Boolean,
            Some(Node::String) => WireType::Text,
            Some(Node::Bytes | Node::Fixed(_)) => WireType::Bytes,
            Some(Node::Enum(_)) => WireType::Enum,
            Some(
                Node::Open
                | Node::Null
                | Node::Array(_)
                | Node::Map(_)
                | Node::Union(_)
                | Node::Record(_),
            )
            | None => WireType::Nested,
        }
    }

    /// A default's JSON; Avro writes that of bytes as a character a byte, and it is of a union's first branch.
    fn default(&self, json: &Value, node: usize) -> String {
        let first = match self.nodes.get(node) {
            Some(Node::Union(branches)) => branches.first().and_then(|at| self.nodes.get(*at)),
            other => other,
        };
        match (first, json) {
            (Some(Node::Bytes | Node::Fixed(_)), Value::String(text)) => {
                let bytes: Vec<u8> = text.chars().filter_map(|c| u8::try_from(c).ok()).collect();
                format!("\"{}\"", STANDARD.encode(bytes))
            }
            _ => json.to_string(),
        }
    }
}

/// Avro's own logical types. An unknown one is the type under it.
fn logical(name: &str, object: &Map<String, Value>) -> Option<Result<WireType, &'static str>> {
    Some(Ok(match name {
        "decimal" => {
            let scale = object.get("scale").map_or(Some(0), Value::as_u64);
            match scale.and_then(|scale| u8::try_from(scale).ok()) {
                Some(scale @ ..=65) => WireType::Decimal { scale },
                Some(_) | None => return Some(Err("scale")),
            }
        }
        "date" => WireType::Date,
        "time-millis" => WireType::Time(TimeUnit::Millis),
        "time-micros" => WireType::Time(TimeUnit::Micros),
        "timestamp-millis" => WireType::Instant(TimeUnit::Millis),
        "timestamp-micros" => WireType::Instant(TimeUnit::Micros),
        "timestamp-nanos" => WireType::Instant(TimeUnit::Nanos),
        "local-timestamp-millis" => WireType::DateTime(TimeUnit::Millis),
        "local-timestamp-micros" => WireType::DateTime(TimeUnit::Micros),
        "local-timestamp-nanos" => WireType::DateTime(TimeUnit::Nanos),
        _ => return None,
    }))
}

fn primitive(name: &str) -> Option<Node> {
    Some(match name {
        "null" => Node::Null,
        "boolean" => Node::Boolean,
        "int" => Node::Int,
        "long" => Node::Long,
        "float" => Node::Float,
        "double" => Node::Double,
        "bytes" => Node::Bytes,
        "string" => Node::String,
        _ => return None,
    })
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}
