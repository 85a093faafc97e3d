//! Processes of one group come and go under load: they share the partitions, and hand them over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::super::case::{Case, Start, options};
use super::super::process::Process;
use super::super::table::Row;

/// Between two looks at the processes: how exact the pauses are.
const LOOK: Duration = Duration::from_millis(50);
/// How long a partition may stand still when a member comes or goes: twice the longest that was measured (14.7 s), on two
/// cores with a load average of 80.
const PAUSE: Duration = Duration::from_secs(30);
/// How long a process that is asked to end may take to hand over, until every partition moves again.
const HANDOVER: Duration = Duration::from_secs(15);
/// How long each number of processes is looked at once it has settled.
const STEADY: Duration = Duration::from_secs(3);

/// Of a branch and partition: the watermark last seen, since when, and the longest time that it stood still.
#[derive(Default)]
struct Pauses {
    seen: BTreeMap<(String, i64), Seen>,
}

struct Seen {
    watermark: i64,
    at: Instant,
    longest: Duration,
}

/// Which processes read a partition of a branch.
type Owners = BTreeMap<(String, i64), BTreeSet<usize>>;

// === impl Pauses ===

impl Pauses {
    fn note(&mut self, branch: &str, partition: i64, watermark: i64) {
        let now = Instant::now();
        let key = (branch.to_owned(), partition);
        let seen = self.seen.entry(key).or_insert(Seen {
            watermark,
            at: now,
            longest: Duration::ZERO,
        });
        if watermark > seen.watermark {
            seen.longest = seen.longest.max(now - seen.at);
            (seen.watermark, seen.at) = (watermark, now);
        }
    }

    /// Those still going on count as well.
    fn longest(&self) -> Duration {
        let all = self.seen.values();
        let longest = all.map(|seen| seen.longest.max(seen.at.elapsed())).max();
        longest.unwrap_or_default()
    }

    /// Measures from now on.
    fn restart(&mut self) {
        for seen in self.seen.values_mut() {
            (seen.at, seen.longest) = (Instant::now(), Duration::ZERO);
        }
    }

    /// Whether every partition has moved since `then`.
    fn all_moved(&self, then: Instant) -> bool {
        self.seen.values().all(|seen| seen.at > then)
    }
}

/// One look at all processes.
async fn look(processes: &[Process], pauses: &mut Pauses) -> Owners {
    let mut owners = Owners::new();
    for (at, process) in processes.iter().enumerate() {
        let pipelines = process.pipelines().await.unwrap_or_default();
        for branch in pipelines[0]["branches"].as_array().into_iter().flatten() {
            let name = branch["sink"].as_str().unwrap_or_default();
            for p in branch["partitions"].as_array().into_iter().flatten() {
                let partition = p["partition"].as_i64().unwrap_or(-1);
                if let Some(watermark) = p["watermark"].as_i64() {
                    pauses.note(name, partition, watermark);
                }
                let owners = owners.entry((name.to_owned(), partition)).or_default();
                owners.insert(at);
            }
        }
    }
    owners
}

/// Whether every partition has one owner, and every process a part of each branch.
fn shared(owners: &Owners, processes: usize, partitions: usize) -> bool {
    let branches: BTreeSet<&String> = owners.keys().map(|(branch, _)| branch).collect();
    branches.len() == 2
        && owners.len() == 2 * partitions
        && owners.values().all(|of| of.len() == 1)
        && branches.into_iter().all(|branch| {
            let of = owners.iter().filter(|((b, _), _)| b == branch);
            let owners: BTreeSet<_> = of.flat_map(|(_, owners)| owners).collect();
            owners.len() == processes
        })
}

/// Waits until the partitions are shared and all move, looks on for a while, and says how long the longest pause was.
async fn settles(
    case: &Case,
    processes: &[Process],
    pauses: &mut Pauses,
    partitions: usize,
) -> Duration {
    let began = Instant::now();
    let mut steady = None;
    while steady.is_none_or(|since: Instant| since.elapsed() < STEADY) {
        let owners = look(processes, pauses).await;
        if !shared(&owners, processes.len(), partitions) || !pauses.all_moved(began) {
            if steady.take().is_some() {
                case.note("the partitions moved once more".to_owned());
            }
            assert!(
                began.elapsed() < super::super::patience(),
                "{} processes do not share the partitions: {owners:?}",
                processes.len()
            );
        } else {
            steady.get_or_insert_with(Instant::now);
        }
        tokio::time::sleep(LOOK).await;
    }
    pauses.longest()
}

fn judge(case: &Case, what: &str, pause: Duration) {
    case.note(format!(
        "{what}: no partition stood still for longer than {pause:.1?}"
    ));
    if pause > PAUSE {
        case.violation(format!("{what}: a partition stood still for {pause:?}"));
    }
}

async fn one_three_one(start: &Start<'_>, fault: &str, protocol: &str) -> Row {
    let case = Case::new(start, fault, options()).await;
    let partitions = usize::try_from(case.rig.config.pipelines[0].topic.partitions);
    let partitions = partitions.expect("some partitions");
    let begin = || {
        let protocol = protocol.to_owned();
        Process::start_with(
            case.rig.directory(),
            &[("TWOLANE_KAFKA_GROUP_PROTOCOL", protocol)],
        )
    };
    let mut processes = vec![begin()];
    case.warm(start).await;
    case.while_loaded(async {
        let mut pauses = Pauses::default();
        let steady = settles(&case, &processes, &mut pauses, partitions).await;
        judge(&case, "one process", steady);
        for count in 2..=3 {
            pauses.restart();
            processes.push(begin());
            let pause = settles(&case, &processes, &mut pauses, partitions).await;
            judge(&case, &format!("{count} processes, one more"), pause);
        }
        for count in [2, 1] {
            pauses.restart();
            let asked = Instant::now();
            let mut leaves = processes.remove(0);
            let left = async {
                let status = leaves.terminate().await;
                if !status.success() {
                    case.violation(format!("it ended with {status}: {}", leaves.said()));
                }
                asked.elapsed()
            };
            let mut handed = None;
            let watched = async {
                while handed.is_none() {
                    let owners = look(&processes, &mut pauses).await;
                    if shared(&owners, count, partitions) && pauses.all_moved(asked) {
                        handed = Some(asked.elapsed());
                    }
                    assert!(asked.elapsed() < super::super::patience(), "{owners:?}");
                    tokio::time::sleep(LOOK).await;
                }
            };
            let (left, ()) = futures_util::join!(left, watched);
            let handed = handed.unwrap_or_default();
            let pause = settles(&case, &processes, &mut pauses, partitions).await;
            let what = format!("{count} left, one less");
            case.note(format!(
                "{what}: it ended after {left:.1?}, and everything moved again after {handed:.1?}"
            ));
            if handed > HANDOVER {
                case.violation(format!("{what}: handed over after {handed:?}"));
            }
            judge(&case, &what, pause);
        }
        case.lifted();
    })
    .await;
    case.settles().await;
    case.note(
        "duplicates are not counted: processes that ended took their counts along".to_owned(),
    );
    for process in processes {
        case.rest_process(process).await;
    }
    case.verdict().await
}

pub async fn one_three_one_classic(start: &Start<'_>) -> Row {
    one_three_one(start, "1, 3, then 1 processes (classic)", "classic").await
}

pub async fn one_three_one_kip_848(start: &Start<'_>) -> Row {
    one_three_one(start, "1, 3, then 1 processes (KIP-848)", "consumer").await
}
