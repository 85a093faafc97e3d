//! The tree under random failures, against a model of its restart policy that knows no actors and no tasks.

use std::time::Duration;

use actix::prelude::*;
use proptest::prelude::*;
use proptest::strategy::Strategy as _;

use super::*;
use crate::supervise::{
    Child, ChildSpec, ChildState, ExitSlot, Incarnation, Restart, Strategy, Supervisor,
    SupervisorSpec, start,
};

#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
enum End {
    Completes,
    Stops,
    Fails,
    Panics,
}

struct Mortal(ExitSlot);

impl Actor for Mortal {
    type Context = Context<Self>;
}

impl Handler<End> for Mortal {
    type Result = ();
    fn handle(&mut self, end: End, ctx: &mut Self::Context) {
        match end {
            End::Completes => ctx.stop(),
            End::Stops => self.0.end(Exit::Stopped),
            End::Fails => self.0.end(Exit::Failed("as it was told".into())),
            End::Panics => panic!("as it was told"),
        }
    }
}

#[derive(Debug, Clone)]
struct Case {
    strategy: Strategy,
    /// Of each child: its policy, and restarts allowed.
    children: Vec<(Restart, u32)>,
    within: u64,
    family: u32,
    /// Seconds after the one before, which child, how it ends.
    ends: Vec<(u64, prop::sample::Index, End)>,
}

/// What should become of it.
struct Model {
    case: Case,
    now: u64,
    made: Vec<u64>,
    ended: Vec<bool>,
    failures: Vec<Vec<u64>>,
    family: Vec<u64>,
    escalated: bool,
}

/// Longer than any delay of a child's restart, and of a supervisor's.
const SETTLED: u64 = 50;
/// The window of the family as a whole, in seconds.
const FAMILY_WITHIN: u64 = 600;

impl Model {
    fn new(case: Case) -> Self {
        let n = case.children.len();
        Self {
            case,
            now: 0,
            made: vec![1; n],
            ended: vec![false; n],
            failures: vec![vec![]; n],
            family: vec![],
            escalated: false,
        }
    }

    fn ends(&mut self, child: usize, end: End) {
        let (restart, most) = self.case.children[child];
        let failed = match end {
            End::Completes | End::Stops => false,
            End::Fails | End::Panics => true,
        };
        let again = match restart {
            Restart::Permanent => true,
            Restart::UntilCompleted => !matches!(end, End::Completes),
            Restart::Transient => failed,
            Restart::Temporary => false,
        };
        if !again {
            self.ended[child] = true;
            return;
        }
        let lately = |all: &mut Vec<u64>, now: u64, within: u64| {
            all.push(now);
            all.iter().filter(|t| now - **t <= within).count()
        };
        let count = lately(&mut self.failures[child], self.now, self.case.within);
        if count <= most as usize {
            self.made[child] += 1;
            if self.case.strategy == Strategy::RestForOne {
                self.make(child + 1);
            }
            return;
        }
        let count = lately(&mut self.family, self.now, FAMILY_WITHIN);
        if count > self.case.family as usize {
            self.escalated = true;
            return;
        }
        self.failures.iter_mut().for_each(Vec::clear);
        self.make(0);
    }

    /// Makes all of them anew from `first` on.
    fn make(&mut self, first: usize) {
        for n in first..self.made.len() {
            self.made[n] += u64::from(!self.ended[n]);
        }
    }
}

fn case() -> impl proptest::strategy::Strategy<Value = Case> {
    let strategy = prop_oneof![
        Just(Strategy::OneForOne),
        Just(Strategy::RestForOne),
        Just(Strategy::Independent),
    ];
    let restart = prop_oneof![
        3 => Just(Restart::Permanent),
        2 => Just(Restart::UntilCompleted),
        2 => Just(Restart::Transient),
        1 => Just(Restart::Temporary),
    ];
    let end = prop_oneof![
        1 => Just(End::Completes),
        1 => Just(End::Stops),
        3 => Just(End::Fails),
        3 => Just(End::Panics),
    ];
    (
        strategy,
        prop::collection::vec((restart, 0u32..4), 1..6),
        60u64..400,
        0u32..3,
        prop::collection::vec((0u64..200, any::<prop::sample::Index>(), end), 1..40),
    )
        .prop_map(|(strategy, children, within, family, ends)| Case {
            strategy,
            children,
            within,
            family,
            ends,
        })
}

async fn follows_the_model(case: Case) -> Result<(), TestCaseError> {
    let tree = Arc::new(Tree::default());
    // Half a second more than the model's whole ones, so that no failure stands on the edge of the window.
    let within = |seconds| Duration::from_millis(seconds * 1_000 + 500);
    let family = Supervisor::start(
        &tree,
        SupervisorSpec {
            name: "family".into(),
            strategy: case.strategy,
            max_restarts: case.family,
            within: within(FAMILY_WITHIN),
        },
    );
    let made: Vec<Arc<AtomicUsize>> = case.children.iter().map(|_| Arc::default()).collect();
    let children: Vec<Child<Mortal>> = case
        .children
        .iter()
        .zip(&made)
        .enumerate()
        .map(|(n, (&(restart, max_restarts), made))| {
            let made = Arc::clone(made);
            let spec = ChildSpec {
                name: format!("child-{n}"),
                restart,
                max_restarts,
                within: within(case.within),
                ..ChildSpec::default()
            };
            start(
                &Arbiter::current(),
                &family,
                spec,
                move |i: &Incarnation| {
                    made.fetch_add(1, Ordering::SeqCst);
                    Ok(Mortal(i.exit.clone()))
                },
            )
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut model = Model::new(case.clone());
    for (gap, child, end) in case.ends {
        let wait = SETTLED + gap;
        tokio::time::sleep(Duration::from_secs(wait)).await;
        model.now += wait;
        let n = child.index(children.len());
        let alive = children[n].inbox.try_send(end).is_ok();
        prop_assert_eq!(alive, !model.ended[n]);
        if alive {
            model.ends(n, end);
        }
        // Long enough for whatever is made anew, and short of the next failure.
        tokio::time::sleep(Duration::from_secs(SETTLED - 1)).await;
        model.now += SETTLED - 1;
        let escalated = tree.common.escalated.borrow().is_some();
        prop_assert_eq!(escalated, model.escalated);
        if escalated {
            prop_assert!(
                children
                    .iter()
                    .all(|c| c.status().state().0 == ChildState::Ended)
            );
            break;
        }
        let counted: Vec<u64> = made
            .iter()
            .map(|n| n.load(Ordering::SeqCst) as u64)
            .collect();
        prop_assert_eq!(&counted, &model.made, "after {:?} of {}", end, n);
        for (child, ended) in children.iter().zip(&model.ended) {
            let state = if *ended {
                ChildState::Ended
            } else {
                ChildState::Running
            };
            prop_assert_eq!(child.status().state().0, state);
        }
    }
    tree.stop().await;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn a_tree_follows_its_policy_under_random_failures(case in case()) {
        // A panic is what a case asks for, not news.
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .unwrap()
        };
        System::with_tokio_rt(runtime).block_on(follows_the_model(case))?;
    }
}
