//! The topics that take events, each opened when the first request for it comes: Kafka and the registry may be
//! away when the process starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::config::{Settings, TopicSpec};
use crate::produce::open::{self, NotOpen};
use crate::produce::{EventTopic, Producer};

/// The topics by name.
pub(super) struct Topics {
    settings: Arc<Settings>,
    producer: Arc<Producer>,
    slots: BTreeMap<String, Slot>,
}

struct Slot {
    spec: Arc<TopicSpec>,
    topic: OnceCell<EventTopic>,
}

// === impl Topics ===

impl Topics {
    /// Those of the specs that take events.
    pub(super) fn new(
        settings: &Arc<Settings>,
        specs: &[Arc<TopicSpec>],
        producer: &Arc<Producer>,
    ) -> Self {
        let take = specs.iter().filter(|spec| EventTopic::takes_events(spec));
        let slots = take.map(|spec| {
            let slot = Slot {
                spec: Arc::clone(spec),
                topic: OnceCell::new(),
            };
            (spec.name.clone(), slot)
        });
        Self {
            settings: Arc::clone(settings),
            producer: Arc::clone(producer),
            slots: slots.collect(),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.slots.contains_key(name)
    }

    /// A topic, opened; `None` for no such topic.
    pub(super) async fn get(&self, name: &str) -> Option<Result<&EventTopic, NotOpen>> {
        let slot = self.slots.get(name)?;
        let open = || open::open(&self.settings, &slot.spec, &self.producer);
        Some(slot.topic.get_or_try_init(open).await)
    }
}
