//! Results that read earlier ones, and what becomes of closed windows.

use crate::rig::Rig;

fn line(time: &str, v: i64) -> String {
    format!("{{\"sentAt\": \"2024-01-{time}Z\", \"userId\": {v}}}\n")
}

const SPEC: &str = "
source: { file: { path: in, follow: true } }
events: { schema: 'sentAt timestamp, userId bigint', time: sentAt }
results:
  - { name: big, sql: 'SELECT sentAt AS At, userId AS Who FROM events WHERE userId > 9' }
  - { name: bigger, sql: SELECT * FROM big WHERE who > 10 }
  - name: hours
    sql: SELECT window(at, '1 hour') AS h, count(*) AS N, max(Who) AS Most FROM bigger GROUP BY 1
    emit: final
  - name: days
    sql: SELECT window(h, '1 day') AS d, sum(N) AS n, max(most) AS most FROM hours GROUP BY 1
    emit: final
";

fn hour(day: u32, hour: u32) -> String {
    let end = if hour == 23 {
        format!("2024-01-{:02}T00:00:00Z", day + 1)
    } else {
        format!("2024-01-{day:02}T{:02}:00:00Z", hour + 1)
    };
    format!("{{\"start\":\"2024-01-{day:02}T{hour:02}:00:00Z\",\"end\":\"{end}\"}}")
}

/// A result has its upstream's watermark: events that the earlier result leaves out close its windows too. An hour
/// belongs to the day that it is in, and names keep their case.
#[test]
fn a_later_result_goes_by_the_watermark_of_the_earlier() {
    let mut rig = Rig::new(SPEC);
    rig.start();
    rig.append("in/a.ndjson", line("01T00:10:00", 11) + &line("01T23:20:00", 12) + &line("01T23:30:00", 10));
    rig.until_read(3);
    assert_eq!(rig.rows("hours"), [format!("{} 1 11", hour(1, 0))]);
    rig.append("in/a.ndjson", line("02T00:00:00", 1));
    rig.until_read(4);
    assert_eq!(rig.rows("hours"), [format!("{} 1 11", hour(1, 0)), format!("{} 1 12", hour(1, 23))]);
    let day = "{\"start\":\"2024-01-01T00:00:00Z\",\"end\":\"2024-01-02T00:00:00Z\"} 2 12";
    assert_eq!(rig.rows("days"), [day]);
    // Late for the hour that is closed, though no row of `bigger` came after it.
    rig.append("in/a.ndjson", line("01T23:40:00", 13));
    rig.until_read(5);
    rig.crash();
    // One that is added later comes to the same rows.
    rig.spec += "  - { name: hours_again, sql: \"SELECT window(at, '1 hour') AS h, count(*) AS n, max(who) FROM bigger GROUP BY 1\", emit: final }\n";
    rig.spec += "  - { name: days_again, sql: \"SELECT window(window_time(h), '1 day') AS d, sum(n) AS n, max(most) FROM hours GROUP BY 1\", emit: final }\n";
    rig.start();
    rig.append("in/a.ndjson", line("02T00:30:00", 1));
    rig.until_read(6);
    rig.until("the later results have caught up", |_| {
        rig.rows("hours_again") == rig.rows("hours") && rig.rows("days_again") == rig.rows("days")
    });
    assert_eq!(rig.rows("hours").len(), 2);
    let late = |name: &str| rig.status().results.iter().find(|result| result.name == name).unwrap().counters.late;
    assert_eq!((late("hours"), late("hours_again")), (1, 1));
}

/// Windows that were appended are not appended again after `lateness` was raised; results whose rows change take the event.
#[test]
fn closed_windows_stay_closed_when_lateness_is_raised() {
    let spec = "
source: { file: { path: in, follow: true } }
events: { schema: 'sentAt timestamp, userId bigint', time: sentAt }
results:
  - { name: hours, sql: \"SELECT window(sentAt, '1 hour') AS h, count(*) AS n FROM events GROUP BY 1\", emit: final }
  - { name: now, sql: \"SELECT window(sentAt, '1 hour') AS h, count(*) AS n FROM events GROUP BY 1\" }
  - { name: sessions, sql: \"SELECT session_window(sentAt, '1 hour') AS h, count(*) AS n FROM events GROUP BY 1\", emit: final }
";
    let mut rig = Rig::new(spec);
    rig.start();
    rig.append("in/a.ndjson", line("01T00:10:00", 1) + &line("01T05:10:00", 1));
    rig.until_read(2);
    assert_eq!(rig.rows("hours"), [format!("{} 1", hour(1, 0))]);
    rig.stop();
    rig.spec = spec.replace("time: sentAt }", "time: sentAt, lateness: 10 hours }");
    for events in [2, 3] {
        rig.start();
        rig.until_read(events);
        if events == 2 {
            rig.append("in/a.ndjson", line("01T00:30:00", 1));
            rig.until_read(3);
        }
        rig.stop();
    }
    rig.start();
    rig.append("in/a.ndjson", line("02T05:10:00", 1));
    rig.until_read(4);
    assert_eq!(rig.rows("hours"), [format!("{} 1", hour(1, 0)), format!("{} 1", hour(1, 5))]);
    assert_eq!(rig.rows("sessions").len(), 2);
    assert_eq!(rig.rows("now")[0], format!("{} 2", hour(1, 0)));
}
