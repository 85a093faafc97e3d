use super::*;
use std::sync::atomic::AtomicBool;

/// Clients that try a server without pause for as long as it is away; counts what the server sees in each second.
async fn outage(clients: usize, away: Duration, then: Duration) -> Vec<usize> {
    let server = Arc::new(Server::new("test".into()));
    let up = Arc::new(AtomicBool::new(false));
    let started = Instant::now();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (server, up, seen) = (Arc::clone(&server), Arc::clone(&up), Arc::clone(&seen));
            tokio::spawn(async move {
                let mut delays = Delays::server();
                loop {
                    lock(&seen).push(started.elapsed());
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    if up.load(Ordering::Relaxed) {
                        server.answered();
                        return;
                    }
                    server.again(&mut delays, Because::Away).await;
                }
            })
        })
        .collect();
    tokio::time::sleep(away).await;
    up.store(true, Ordering::Relaxed);
    tokio::time::sleep(then).await;
    assert!(
        tasks.iter().all(tokio::task::JoinHandle::is_finished),
        "all are back"
    );
    let seen = lock(&seen);
    let seconds = usize::try_from((away + then).as_secs()).unwrap();
    let mut each = vec![0; seconds + 1];
    for at in seen.iter() {
        each[usize::try_from(at.as_secs()).unwrap()] += 1;
    }
    each
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_meets_no_more_than_the_bound_from_however_many() {
    const CLIENTS: usize = 500;
    let each = outage(CLIENTS, Duration::from_secs(60), Duration::from_secs(20)).await;
    // The first attempts were in flight when it went away.
    let again: usize = each[..60].iter().sum::<usize>() - CLIENTS;
    assert!(again <= (BURST + 60 * RATE) as usize, "{again} in 60 s");
    assert!(again >= (30 * RATE) as usize, "{again}: it is hardly tried");
    let most = each[1..60].iter().max().unwrap();
    assert!(*most <= (2 * RATE) as usize, "{most} in one second");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_back_is_found_soon_and_by_more_and_more() {
    let each = outage(500, Duration::from_secs(60), Duration::from_secs(20)).await;
    let back = each.iter().skip(60).position(|n| *n > 2 * RATE as usize);
    assert!(back.unwrap() <= 2, "{each:?}");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_refused_alone_waits_its_delay_whatever_the_server_tells_others() {
    let server = Arc::new(Server::new("test".into()));
    let delay = Duration::from_secs(5);
    let started = Instant::now();
    let refused = {
        let server = Arc::clone(&server);
        tokio::spawn(async move { server.after(delay, Because::Refused).await })
    };
    let away = {
        let server = Arc::clone(&server);
        tokio::spawn(async move { server.after(delay, Because::Away).await })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.answered();
    away.await.unwrap();
    assert!(started.elapsed() < delay);
    refused.await.unwrap();
    assert!(started.elapsed() >= delay);
}

#[test]
fn a_server_is_one_however_often_it_is_asked_for() {
    assert!(Arc::ptr_eq(&server("redis a"), &server("redis a")));
    assert!(!Arc::ptr_eq(&server("redis a"), &server("redis b")));
}
