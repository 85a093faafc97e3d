//! The schema of a topic's events in the registry. Against the file before it it was checked when the specs
//! were read, which needs no server.

use super::item::{Item, Mode, Verdict};
use crate::config::{Format, Settings, TopicSpec};
use crate::schema_registry::{RegistryError, SchemaRegistry, subject};

/// The schema of an Avro topic, where there is a registry; nothing for others, whose records name none.
pub(super) async fn of(settings: &Settings, spec: &TopicSpec, mode: Mode) -> Option<Item> {
    match spec.format {
        Format::Avro => {}
        // A connector registers its own schemas.
        Format::Json
        | Format::DebeziumJson
        | Format::DebeziumAvro
        | Format::CanalJson
        | Format::MaxwellJson => return None,
    }
    let (Some(registry), Some(_)) = (&settings.schema_registry, spec.reading.schemas.first())
    else {
        return None;
    };
    let what = format!("schema {}", subject(&spec.name));
    Some(match SchemaRegistry::new(registry) {
        Ok(registry) => match settle(&registry, spec, mode).await {
            Ok(verdict) => Item::new(what, verdict),
            Err(RegistryError::Unknown(why)) => Item::new(what, Verdict::Refuse(vec![why])),
            Err(away @ RegistryError::Away { .. }) => Item::failed(what, away),
        },
        Err(why) => Item::failed(what, why),
    })
}

async fn settle(
    registry: &SchemaRegistry,
    spec: &TopicSpec,
    mode: Mode,
) -> Result<Verdict, RegistryError> {
    let Some(file) = spec.reading.schemas.first() else {
        return Ok(Verdict::Keep);
    };
    let subject = subject(&spec.name);
    let shown = file.file.display();
    let verdict = match registry.latest(&subject).await? {
        None => Verdict::Create(vec![format!("version 1: {shown}")]),
        Some(latest) => match registry.find(&subject, &file.text).await? {
            Some(id) if id == latest.id => Verdict::Keep,
            Some(_) => Verdict::Refuse(vec![format!(
                "the registry has a newer version, {}, than {shown}: take that one over into the file, and this one into `former_schemas`",
                latest.version
            )]),
            None => {
                let faults = spec
                    .reading
                    .compatibility
                    .faults(&latest.schema, &file.text);
                if faults.is_empty() {
                    Verdict::Alter(vec![format!(
                        "version {} follows version {}: {shown}",
                        latest.version.saturating_add(1),
                        latest.version
                    )])
                } else {
                    let with_remedy = |fault| {
                        format!(
                            "{shown}, as the successor of the registry's version {}, is {fault}. Give a new field a default and keep the others as they are, set `compatibility` to what is meant, or make a new topic",
                            latest.version
                        )
                    };
                    Verdict::Refuse(faults.into_iter().map(with_remedy).collect())
                }
            }
        },
    };
    match (&verdict, mode) {
        (Verdict::Create(_) | Verdict::Alter(_), Mode::Apply) => {
            registry.register(&subject, &file.text).await?;
        }
        (_, Mode::Plan)
        | (
            Verdict::Keep | Verdict::Differs(_) | Verdict::Refuse(_) | Verdict::Failed(_),
            Mode::Apply,
        ) => {}
    }
    Ok(verdict)
}
