//! `twolane rooms`: the live lane by class and by room.

use std::process::ExitCode;

use super::shapes::Live;
use super::table::{Table, count, rate};
use super::{Args, show};
use crate::config::LoadOptions;

/// The live lane.
pub(in crate::cli) fn rooms(args: &Args, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    show(args, options, "rooms", text, |live| live.connected)
}

fn text(live: &Live) -> String {
    let mut text = classes(live);
    if !live.rooms.is_empty() {
        text.push('\n');
        text += &rooms_of(live);
    }
    text += &format!(
        "\n{} rooms are open; {}; {} comments wait{}.\n",
        live.open_rooms,
        if live.connected {
            "connected to NATS"
        } else {
            "NOT connected to NATS"
        },
        live.comments_waiting,
        if live.overloaded {
            "; overloaded: likes are shed"
        } else {
            ""
        },
    );
    text
}

fn classes(live: &Live) -> String {
    let mut table = Table::new(&[
        "CLASS",
        "RECEIVED/S",
        "RECEIVED",
        "ACCEPTED",
        "REFUSED",
        "SHED",
        "DUPLICATE",
        "DEAD",
        "REDELIVERED",
    ]);
    for class in &live.classes {
        let counts = [
            class.received,
            class.accepted,
            class.refused,
            class.shed,
            class.duplicate,
            class.dead_lettered,
            class.redelivered,
        ];
        let counts = counts.map(|n| count(Some(n)));
        let [
            received,
            accepted,
            refused,
            shed,
            duplicate,
            dead,
            redelivered,
        ] = counts;
        table.row([
            class.class.clone(),
            rate(class.received_per_second),
            received,
            accepted,
            refused,
            shed,
            duplicate,
            dead,
            redelivered,
        ]);
    }
    table.text()
}

fn rooms_of(live: &Live) -> String {
    let mut table = Table::new(&[
        "ROOM",
        "VIEWERS",
        "COMMENTS/S",
        "COMMENTS",
        "REFUSED",
        "LIKES/S",
        "LIKES",
        "SHED",
        "REDELIVERED",
    ]);
    for room in &live.rooms {
        let n = |n: u64| count(Some(n));
        table.row([
            room.room.clone(),
            n(room.viewers),
            rate(room.comments_per_second),
            n(room.accepted),
            n(room.refused),
            rate(room.likes_per_second),
            n(room.likes),
            n(room.shed),
            n(room.redelivered),
        ]);
    }
    table.text()
}
