use super::*;
use actix::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

struct Probe {
    exit: ExitSlot,
    handled: Arc<AtomicU32>,
}

#[derive(Message)]
#[rtype(result = "u32")]
enum Ask {
    Count,
    Panic,
    PanicInFuture,
    Fail,
}

impl Actor for Probe {
    type Context = Context<Self>;
}

impl Handler<Ask> for Probe {
    type Result = ResponseActFuture<Self, u32>;
    fn handle(&mut self, ask: Ask, ctx: &mut Self::Context) -> Self::Result {
        match ask {
            Ask::Count => {
                let n = self.handled.fetch_add(1, Ordering::SeqCst) + 1;
                Box::pin(actix::fut::ready(n))
            }
            Ask::Panic => panic!("in a handler"),
            Ask::PanicInFuture => Box::pin(
                async {
                    tokio::task::yield_now().await;
                    panic!("in a future")
                }
                .into_actor(self),
            ),
            Ask::Fail => {
                self.exit.set(Exit::Failed("asked to".into()));
                ctx.stop();
                Box::pin(actix::fut::ready(0))
            }
        }
    }
}

fn probe(max_restarts: u32) -> (Child<Probe>, Arc<Tree>) {
    let tree = Arc::new(Tree::default());
    let handled = Arc::new(AtomicU32::new(0));
    let spec = ChildSpec {
        name: "probe".into(),
        mailbox: 16,
        max_restarts,
        within: Duration::from_secs(60),
    };
    let child = start(
        &Arbiter::current(),
        Arc::clone(&tree),
        spec,
        move |i: &Incarnation| {
            Ok(Probe {
                exit: i.exit.clone(),
                handled: Arc::clone(&handled),
            })
        },
    );
    (child, tree)
}

#[actix::test]
async fn a_failed_actor_is_restarted_on_the_same_address_and_keeps_what_was_queued() {
    for (bad, why) in [
        (Ask::Panic, "panicked: in a handler"),
        (Ask::PanicInFuture, "panicked: in a future"),
        (Ask::Fail, "failed: asked to"),
    ] {
        let (child, tree) = probe(3);
        assert_eq!(child.addr.send(Ask::Count).await.unwrap(), 1);
        let bad = child.addr.send(bad);
        let queued = child.addr.send(Ask::Count);
        let _ = bad.await;
        assert_eq!(queued.await.unwrap(), 2);
        let status = &tree.children()[0];
        assert_eq!(status.restarts(), 1);
        assert_eq!(status.last_exit().unwrap().to_string(), why);
        child.stop();
        child.ended().await;
        assert_eq!(status.state().0, super::super::ChildState::Ended);
    }
}

#[actix::test]
async fn more_failures_than_allowed_escalate_with_the_reason() {
    let (child, tree) = probe(1);
    for _ in 0..2 {
        let _ = child.addr.send(Ask::Panic).await;
    }
    let reason = tree.escalated().await;
    assert!(
        reason.contains("probe: 2 failures") && reason.contains("in a handler"),
        "{reason}"
    );
}

#[actix::test]
async fn a_factory_that_panics_is_tried_again() {
    let tree = Arc::new(Tree::default());
    let spec = ChildSpec {
        name: "late".into(),
        mailbox: 1,
        max_restarts: 3,
        within: Duration::from_secs(60),
    };
    let child = start(&Arbiter::current(), tree, spec, |i: &Incarnation| {
        assert!(i.number > 0, "not yet");
        Ok(Probe {
            exit: i.exit.clone(),
            handled: Arc::default(),
        })
    });
    assert_eq!(child.addr.send(Ask::Count).await.unwrap(), 1);
}
