//! The operator's page in a real Chromium. Without one it is said so, and skipped.

use serde_json::{Value, json};
use twolane::branch::REJECTIONS;

use super::rig::{HIDDEN, Rig, TOKEN, hidden_row};
use crate::browser::{Browser, Tab, chromium};
use crate::dead_letters::desk::row;
use crate::lane::rig::system;

/// Whether a text is in an element.
fn says(id: &str, text: &str) -> String {
    format!("document.getElementById({id:?}).textContent.includes({text:?})")
}

/// Presses the button of this name.
fn press(label: &str) -> String {
    format!("document.querySelector('button[aria-label={label:?}]').click(); true")
}

/// The cell of a row.
fn cell(row: &str, name: &str) -> String {
    format!("document.querySelector('tr[data-key={row:?}] td[data-name={name:?}]')?.textContent")
}

const YES: &str = "document.getElementById('sure-yes').click(); true";
const ASKED: &str = "document.getElementById('sure').open";

async fn give_token(browser: &mut Browser, tab: &Tab, token: &str) {
    let give = format!(
        "{{ const token = document.getElementById('token'); token.value = {token:?}; \
         token.dispatchEvent(new Event('input')); token.dispatchEvent(new Event('change')); }} true"
    );
    browser.ask(tab, &give).await;
}

/// Presses a button, and says yes to the question that follows.
async fn do_it(browser: &mut Browser, tab: &Tab, label: &str) {
    browser.ask(tab, &press(label)).await;
    browser.until(tab, ASKED).await;
    browser.ask(tab, YES).await;
}

/// Pictures go to the folder of TWOLANE_TEST_PICTURES, for people to look at.
async fn pictures(browser: &mut Browser, tab: &Tab) {
    for (width, dark) in [(1280, false), (1280, true), (390, false), (390, true)] {
        browser.look(tab, width, 900, dark).await;
        // Nothing reaches beyond the window.
        let wide = "document.documentElement.scrollWidth <= innerWidth";
        browser.until(tab, wide).await;
        let ground = browser
            .ask(tab, "getComputedStyle(document.body).backgroundColor")
            .await;
        let ground: Vec<u32> = ground
            .as_str()
            .unwrap()
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|n| n.parse().ok())
            .collect();
        assert_eq!(ground[0] < 128, dark, "{ground:?}");
        if let Ok(folder) = std::env::var("TWOLANE_TEST_PICTURES") {
            let name = format!("{width}-{}.png", if dark { "dark" } else { "light" });
            let picture = browser.picture(tab).await;
            std::fs::write(std::path::Path::new(&folder).join(name), picture).unwrap();
        }
    }
    browser.look(tab, 1280, 900, false).await;
}

#[test]
fn an_operator_sees_what_goes_on_acts_with_the_token_alone_and_is_told_when_the_process_is_gone() {
    let Some(program) = chromium() else {
        return;
    };
    system(async {
        let mut rig = Rig::start("page").await;
        let branch = rig.redis();
        let mut browser = Browser::start(&program).await;
        let tab = browser
            .open(&format!("http://127.0.0.1:{}/", rig.port))
            .await;
        browser.until(&tab, &says("ready", "ready")).await;
        browser.until(&tab, &says("branches", &branch)).await;
        browser
            .until(&tab, &says("partitions", "this process"))
            .await;
        browser.until(&tab, &says("process", "twolane-")).await;

        // It goes on by itself.
        let end = cell(&format!("{branch} 0"), "end");
        browser.until(&tab, &format!("{end} === '2'")).await;
        rig.desk.produce("3", &row(3, "7")).await;
        browser.until(&tab, &format!("{end} === '3'")).await;
        browser
            .until(&tab, &format!("{} === '0'", cell(&branch, "lag")))
            .await;

        acts(&rig, &mut browser, &tab).await;
        letters(&rig, &mut browser, &tab).await;
        browser
            .until(&tab, &says("settings", "TWOLANE_KAFKA_BROKERS"))
            .await;
        browser.until(&tab, &says("settings", "[redacted]")).await;
        pictures(&mut browser, &tab).await;

        // Nothing of it came from elsewhere, nor is the token in anything that is shown or kept.
        let elsewhere = "performance.getEntriesByType('resource').every((r) => r.name.startsWith(location.origin))";
        assert_eq!(browser.ask(&tab, elsewhere).await, json!(true));
        let kept = format!(
            "document.documentElement.outerHTML.includes({TOKEN:?}) || localStorage.length + sessionStorage.length > 0 || \
             document.cookie !== '' || location.href.includes({TOKEN:?})"
        );
        assert_eq!(browser.ask(&tab, &kept).await, json!(false));

        rig.kill();
        browser
            .until(&tab, "!document.getElementById('gone').hidden")
            .await;
        browser.until(&tab, &says("ready", "gone")).await;
        assert_eq!(
            browser
                .ask(&tab, &says("gone", "does not answer since"))
                .await,
            json!(true)
        );
        assert_eq!(
            browser
                .ask(&tab, "document.body.classList.contains('gone')")
                .await,
            json!(true)
        );
        rig.run().await;
        browser
            .until(&tab, "document.getElementById('gone').hidden")
            .await;
        browser.until(&tab, &says("ready", "ready")).await;
        // What was done before is still told.
        browser.until(&tab, &says("audit", "replay")).await;

        // A halt says where to read on.
        for n in 0..REJECTIONS {
            rig.desk.produce(&format!("bad{n}"), "not JSON").await;
        }
        let state = cell(&branch, "state");
        let halted =
            format!("{state}.includes('halted') && {state}.includes('could not be decoded')");
        browser.until(&tab, &halted).await;
        let section = format!("{state}.includes('see too-many-rejected in deploy/RUNBOOK.md')");
        browser.until(&tab, &section).await;
    });
}

/// Without the token nothing, with it a pause and a resume.
async fn acts(rig: &Rig, browser: &mut Browser, tab: &Tab) {
    let branch = rig.redis();
    let pause = format!("Pause {branch}");
    browser.ask(tab, &press(&pause)).await;
    browser.until(tab, &says("said", "give the token")).await;
    assert_eq!(browser.ask(tab, ASKED).await, json!(false));

    give_token(browser, tab, "another-token-that-is-wrong").await;
    do_it(browser, tab, &pause).await;
    browser
        .until(tab, &says("said", "does not carry the token"))
        .await;
    browser
        .until(tab, &says("permit-is", "refuses this token"))
        .await;

    give_token(browser, tab, TOKEN).await;
    browser.ask(tab, &press(&pause)).await;
    browser.until(tab, ASKED).await;
    browser
        .ask(
            tab,
            "document.querySelector('#sure button[data-act=close]').click(); true",
        )
        .await;
    browser.until(tab, &format!("!({ASKED})")).await;
    do_it(browser, tab, &pause).await;
    let state = cell(&branch, "state");
    browser
        .until(tab, &format!("{state}.includes('paused')"))
        .await;
    rig.desk.produce("4", &row(4, "7")).await;
    let oldest = format!("{}.startsWith('1oldest ')", cell(&branch, "lag"));
    browser.until(tab, &oldest).await;
    assert_eq!(rig.desk.in_redis(4), None);
    do_it(browser, tab, &format!("Resume {branch}")).await;
    browser
        .until(tab, &format!("{state}.includes('running')"))
        .await;
    browser
        .until(tab, &format!("{} === '0'", cell(&branch, "lag")))
        .await;
    assert!(rig.desk.in_redis(4).is_some());
}

/// A letter read and replayed, and that noted.
async fn letters(rig: &Rig, browser: &mut Browser, tab: &Tab) {
    let topic = &rig.desk.topic;
    browser.until(tab, &says("dead-sum", "column_type")).await;
    // A row that neither sink has, as its letter's replay is to show.
    rig.desk.produce("5", &hidden_row(5, "\"abc\"")).await;
    let dead = "document.querySelectorAll('#dead tr[data-key]').length";
    browser.until(tab, &format!("{dead} === 4")).await;
    browser
        .ask(tab, &press(&format!("Read letter 0 of {topic}")))
        .await;
    browser
        .until(tab, "document.getElementById('letter').open")
        .await;
    for part in [
        "column_type",
        "trace",
        "t-1",
        "\"id\": 1",
        "\"name\": \"***\"",
        "partition 0, offset 0",
    ] {
        assert_eq!(
            browser.ask(tab, &says("letter", part)).await,
            json!(true),
            "{part}"
        );
    }
    let all = browser.ask(tab, "document.documentElement.outerHTML").await;
    assert!(!all.as_str().unwrap().contains(HIDDEN));
    browser
        .ask(
            tab,
            "document.querySelector('#letter button[data-act=close]').click(); true",
        )
        .await;
    do_it(browser, tab, &format!("Replay letter 0 of {topic}")).await;
    browser
        .until(tab, &says("dead-job", "1 letter: 1 superseded"))
        .await;
    // All of one reason, of which some are not to be had.
    let choose = "{ const of = document.getElementById('dead-reason'); of.value = 'column_type'; \
                  of.dispatchEvent(new Event('change')); } true";
    browser.ask(tab, choose).await;
    let all = "document.getElementById('dead-all')";
    browser.until(tab, &format!("!{all}.hidden")).await;
    browser.ask(tab, &format!("{all}.click(); true")).await;
    browser.until(tab, ASKED).await;
    browser.ask(tab, YES).await;
    browser
        .until(
            tab,
            &says("dead-job", "4 letters: 2 superseded, 2 rejected again"),
        )
        .await;
    let entries = "[...document.querySelectorAll('#audit tbody tr')].map((r) => [...r.cells].map((c) => c.textContent))";
    browser
        .until(
            tab,
            &format!("{entries}.length === 5 && {entries}[0][4] === 'done'"),
        )
        .await;
    let entries: Value = browser.ask(tab, entries).await;
    let told: Vec<(&str, &str)> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row[1].as_str().unwrap(), row[4].as_str().unwrap()))
        .collect();
    let wanted = [
        ("replay", "done"),
        ("replay", "done"),
        ("resume", "done"),
        ("pause", "done"),
        ("pause", "denied"),
    ];
    assert_eq!(told, wanted);
    assert_eq!(rig.audit().len(), 9);
}
