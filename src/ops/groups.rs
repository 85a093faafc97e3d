//! Who is in the branches' consumer groups, and which partitions each has, of all processes: Kafka is asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::branch::Branch;
use crate::config::GroupProtocol;
use crate::source::{Member, client_id};

/// An answer is shown for so long: a rebalance takes longer, and each question costs the brokers something.
const FRESH: Duration = Duration::from_secs(3);

/// A branch's consumer group.
#[derive(Debug, Clone, Serialize)]
pub struct GroupView {
    /// `<pipeline>.<sink>`.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// `classic` or `consumer`.
    pub protocol: &'static str,
    /// Its members, those with the lowest partitions first.
    pub members: Vec<MemberView>,
    /// Partitions that nobody has.
    pub unowned: Vec<i32>,
    /// Why it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One member.
#[derive(Debug, Clone, Serialize)]
pub struct MemberView {
    /// Its `client.id`: of a twolane the machine and the process.
    pub client_id: String,
    /// Its address, as the broker sees it.
    pub host: String,
    /// What the group knows it by.
    pub member_id: String,
    /// Its partitions, in order.
    pub partitions: Vec<i32>,
    /// Whether it is of this process.
    pub this_process: bool,
}

/// The last answer, and when it came. One question is out at a time.
#[derive(Debug, Default)]
pub(super) struct Groups(Arc<Mutex<Option<Answer>>>);

type Answer = (Instant, Vec<GroupView>);

// === impl Groups ===

impl Groups {
    /// The groups of these branches.
    pub(super) async fn of(&self, branches: &[Arc<Branch>]) -> Vec<GroupView> {
        let mut last = Arc::clone(&self.0).lock_owned().await;
        if let Some((at, groups)) = &*last
            && at.elapsed() < FRESH
        {
            return groups.clone();
        }
        let branches = branches.to_vec();
        // Whoever asks may go away; while Kafka is away, a question of each of them would pile up.
        let asked = tokio::spawn(async move {
            let asked: Vec<_> = branches.iter().map(|branch| ask(branch)).collect();
            let groups = join_all(asked).await;
            *last = Some((Instant::now(), groups.clone()));
            groups
        });
        // Its panic would be printed, and there is nothing to show then.
        asked.await.unwrap_or_default()
    }
}

async fn ask(branch: &Branch) -> GroupView {
    let kafka = &branch.settings.kafka;
    let (members, error) = match branch.probe.members().await {
        Ok(members) => (members, None),
        Err(why) => (Vec::new(), Some(why.to_string())),
    };
    let unowned = |p: &i32| !members.iter().any(|m| m.partitions.contains(p));
    let unowned = (0..branch.topic().partitions).filter(unowned).collect();
    let here = client_id(kafka);
    let mut members: Vec<MemberView> = members
        .into_iter()
        .map(|m| MemberView::of(m, here))
        .collect();
    members.sort_by_key(|m| {
        (
            m.partitions.first().copied().unwrap_or(i32::MAX),
            m.member_id.clone(),
        )
    });
    GroupView {
        group: branch.name.clone(),
        topic: branch.topic().name.clone(),
        protocol: match kafka.group_protocol {
            GroupProtocol::Classic => "classic",
            GroupProtocol::Consumer => "consumer",
        },
        members,
        unowned: if error.is_some() { Vec::new() } else { unowned },
        error,
    }
}

// === impl MemberView ===

impl MemberView {
    fn of(member: Member, here: &str) -> Self {
        Self {
            this_process: member.client_id == here,
            client_id: member.client_id,
            host: member.host,
            member_id: member.member_id,
            partitions: member.partitions,
        }
    }
}
