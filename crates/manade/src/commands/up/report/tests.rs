use std::path::Path;
use std::time::{Duration, Instant};

use manade_pipeline::status::{PipelineCounters, PipelineState, PipelineStatus, ResultCounters, ResultStatus};

use super::{Plain, Rates, announcement, fitting, live_lines};

fn pipeline(state: PipelineState, read: u64) -> PipelineStatus {
    let counters = ResultCounters { late: 0, failed: 0, selected: read, written: read, expired: 0 };
    PipelineStatus {
        name: "flights".to_owned(),
        state,
        reason: None,
        source: "file".to_owned(),
        counters: PipelineCounters { read, processed: read, dead: 0, expired: 0 },
        watermark: Some(978_310_020_000_000),
        newest: None,
        backlog: 3 << 20,
        results: vec![ResultStatus {
            name: "hourly".to_owned(),
            counters,
            rows: 1_200,
            watermark: None,
            sinks: Vec::new(),
        }],
        dead_letters: 1,
        feed: None,
    }
}

#[test]
fn a_live_line_has_rate_backlog_watermark_rows_and_dead_letters() {
    let start = Instant::now();
    let mut rates = Rates::default();
    for second in 0..10 {
        rates.note(&[pipeline(PipelineState::Running, second * 1_500)], start + Duration::from_secs(second));
    }
    let lines = live_lines(&[pipeline(PipelineState::Running, 13_500)], &rates);
    let expect = [
        "RESULT  STATE    EVENTS/S  BACKLOG  WATERMARK              ROWS  DEAD LETTERS",
        "hourly  running     1,500  3.0 MiB  2001-01-01T00:47:00Z  1,200             1",
    ];
    assert_eq!(lines, expect);
}

#[test]
fn live_lines_fit_the_terminal() {
    let lines = || ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
    assert_eq!(fitting(lines(), 7), lines());
    assert_eq!(fitting(lines(), 6), ["a", "b", "c", "and 2 more: `manade status` shows all"]);
}

#[test]
fn why_a_pipeline_waits_stands_below() {
    let waiting = PipelineStatus { reason: Some("the disk is full".to_owned()), ..pipeline(PipelineState::Waiting, 5) };
    let lines = live_lines(&[waiting], &Rates::default());
    assert_eq!(lines.last().map(String::as_str), Some("flights: waiting: the disk is full"));
}

#[test]
fn plain_lines_come_with_a_change_of_state_and_now_and_then() {
    let start = Instant::now();
    let (mut plain, mut rates) = (Plain::default(), Rates::default());
    let mut check = |second: u64, state, read, expect: &str| {
        let now = start + Duration::from_secs(second);
        let status = [pipeline(state, read)];
        rates.note(&status, now);
        assert_eq!(plain.lines(&status, &rates, now), expect, "after {second} s");
    };
    check(0, PipelineState::Running, 0, "flights: started\n");
    check(1, PipelineState::Running, 1_000, "");
    check(
        11,
        PipelineState::Running,
        11_000,
        "flights: 11,000 events read, 1 dead letter, 1,000 events/s, backlog 3.0 MiB\n",
    );
    check(22, PipelineState::Running, 11_000, "");
    check(23, PipelineState::Finished, 11_001, "flights: finished: 11,001 events read, 1 dead letter\n");
    check(60, PipelineState::Finished, 11_001, "");
}

#[test]
fn what_the_summary_says_is_not_said_before_it() {
    let mut plain = Plain { once: true, ..Plain::default() };
    let finished = [pipeline(PipelineState::Finished, 5)];
    assert_eq!(plain.lines(&finished, &Rates::default(), Instant::now()), "flights: finished\n");
}

#[test]
fn the_announcement_says_where_everything_is() {
    let http =
        PipelineStatus { source: "http".to_owned(), name: "clicks".to_owned(), ..pipeline(PipelineState::Running, 0) };
    let text = announcement(&[http], Some("127.0.0.1:8080".parse().expect("an address")), Path::new("x/.manade"));
    let expect = "data API  http://127.0.0.1:8080/data\n\
                  docs      http://127.0.0.1:8080/docs\n\
                  kept in   x/.manade\n\
                  pipeline  clicks (POST http://127.0.0.1:8080/ingest/clicks): hourly\n";
    assert_eq!(text, expect);
}
