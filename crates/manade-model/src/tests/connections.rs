//! Connections, and sources that name them.

use super::*;

const HEAD: &str =
    "apiVersion: manade.dev/v1alpha1\nkind: Connection\nmetadata: { name: broker }\nspec:\n  rabbitmq:\n";

fn connection(lines: &str) -> String {
    let lines: Vec<String> = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("{HEAD}{}", lines.concat())
}

fn pipeline(source: &str, events: &str) -> String {
    format!(
        "apiVersion: manade.dev/v1alpha1\nkind: Pipeline\nmetadata: {{ name: p }}\nspec:\n  source:\n    {source}\n  \
         events: {{ schema: {{ id: string, at: timestamp, n: double }}{events} }}\n  \
         results: [{{ name: r, sql: SELECT id FROM events }}]\n"
    )
}

fn with_broker(source: &str) -> String {
    format!("{}---\n{}", connection("url: amqp://manade@127.0.0.1/%2f"), pipeline(source, ""))
}

/// Of the line `source:` in [`with_broker`].
const SOURCE: usize = 13;

#[test]
fn a_queue_has_what_its_connection_says() {
    let text = format!(
        "{}---\n{}",
        pipeline(
            "rabbitmq: { connection: broker, queue: flights, prefetch: 500, declare: { type: classic }, \
             id: { field: id }, remember: { count: 1000 }, retain: 2 days }",
            ""
        ),
        connection(
            "url: amqps://manade@broker.example:5671/%2f\npassword: { env: RABBITMQ_PASSWORD }\n\
             tls: { ca: { file: ca.pem }, cert: { file: /c.pem }, key: { env: KEY } }"
        )
    );
    let parsed = parse_one(&text);
    assert_eq!(shown(&parsed), "");
    let Source::RabbitMq(queue) = &parsed.platform.pipelines[0].source else { panic!() };
    let (ca, key) = (Secret::File("platform/ca.pem".into()), Secret::Env("KEY".to_owned()));
    let broker = RabbitMq {
        url: url::Url::parse("amqps://manade@broker.example:5671/%2f", &["amqps"]).unwrap(),
        password: Some(Secret::Env("RABBITMQ_PASSWORD".to_owned())),
        tls: Tls { ca: Some(ca), identity: Some((Secret::File("/c.pem".into()), key)) },
    };
    assert_eq!(queue.broker, broker);
    assert_eq!((queue.queue.as_str(), queue.prefetch, queue.declare), ("flights", 500, Some(QueueType::Classic)));
    assert_eq!(queue.id, Some(MessageId::Field(vec!["id".to_owned()])));
    assert_eq!(queue.remember, Remember { age: Duration::from_hours(24), count: 1000 });
    assert_eq!(queue.retain, Retain { age: Some(Duration::from_hours(48)), size: None });

    let [connection] = &parsed.platform.connections[..] else { panic!() };
    assert_eq!(connection.target, Target::RabbitMq(broker));
    let places: Vec<(usize, usize)> = connection.secrets.iter().map(|(_, place)| (place.line, place.column)).collect();
    assert_eq!(places, [(16, 15), (17, 16), (17, 40), (17, 63)]);
}

#[test]
fn what_a_queue_may_leave_out() {
    let text = with_broker("rabbitmq: { connection: broker, queue: flights }");
    let Source::RabbitMq(queue) = checked_pipeline(&text).source else { panic!() };
    let remember = Remember { age: Duration::from_hours(24), count: 10_000_000 };
    assert_eq!((queue.prefetch, queue.declare, queue.id, queue.remember), (2000, None, None, remember));
    assert_eq!(queue.retain.age, Some(Duration::from_hours(24)));
    let text = with_broker("rabbitmq: { connection: broker, queue: q, id: message-id, remember: 1 hour, declare: {} }");
    let Source::RabbitMq(queue) = checked_pipeline(&text).source else { panic!() };
    assert_eq!((queue.id, queue.remember.age), (Some(MessageId::Property), Duration::from_hours(1)));
    assert_eq!(queue.declare, Some(QueueType::Quorum));
}

#[test]
fn wrong_connections() {
    let long = "q".repeat(256);
    let too_long = format!("rabbitmq: {{ connection: broker, queue: {long} }}");
    let sources: &[(&str, usize, &str)] = &[
        (
            "rabbitmq: { connection: brokr, queue: q }",
            29,
            "no connection is called `brokr`\n  hint: did you mean `broker`?",
        ),
        (
            "rabbitmq: { connection: lake, queue: q }",
            29,
            "no connection is called `lake`\n  hint: write a document of `kind: Connection`",
        ),
        ("rabbitmq: { queue: q }", 5, "`connection` is missing in `rabbitmq`"),
        ("rabbitmq: { connection: broker }", 5, "`queue` is missing in `rabbitmq`"),
        (
            "rabbitmq: { connection: broker, queue: q, prefetch: 70000 }",
            57,
            "`prefetch` is 70000\n  hint: AMQP has 65535",
        ),
        ("rabbitmq: { connection: broker, queue: amq.q, declare: {} }", 44, "begins with `amq.`"),
        (&too_long, 44, "longer than 255 bytes"),
        (
            "rabbitmq: { connection: broker, queue: q, id: { field: idd } }",
            60,
            "the id `idd` is not in the schema\n  hint: did you mean `id`?",
        ),
        ("rabbitmq: { connection: broker, queue: q, id: { field: n } }", 60, "the id `n` is a double"),
        ("rabbitmq: { connection: broker, queue: q, id: { field: a..b } }", 60, "`a..b` is not a column's path"),
        ("rabbitmq: { connection: broker, queue: q, id: messageid }", 51, "`id` expects `message-id`"),
        ("rabbitmq: { connection: broker, queue: q, remember: 1 day }", 47, "`remember` has no effect without `id`"),
        (
            "rabbitmq: { connection: broker, queue: q, declare: { type: mirrored } }",
            64,
            "`type` expects `quorum` or `classic`",
        ),
    ];
    for (source, column, part) in sources {
        check(&with_broker(source), &[(SOURCE, *column, part)]);
    }
    let connections: &[(&str, usize, usize, &str)] = &[
        (
            "url: amqp://u:hunter2@h",
            6,
            10,
            "has a password in it\n  hint: take it out and write `password: { env: NAME }`",
        ),
        (
            "url: amqp://u@h\npassword: hunter2",
            7,
            15,
            "`password` stands in the file itself\n  hint: write `{ env: NAME }`",
        ),
        ("url: amqp://u@h\npassword: [hunter2]", 7, 15, "`password` expects a mapping, found a list"),
        ("url: amqp://u@h\npassword: { env: A, file: b }", 7, 25, "`password` takes only one of `env` or `file`"),
        ("url: amqp://u@h\npassword: { evn: A }", 7, 17, "did you mean `env`?"),
        ("url: amqp://h\npassword: { env: A }", 6, 10, "it names no user, and there is a password"),
        ("url: amqp://u@h/", 6, 10, "the virtual host with the empty name"),
        ("url: amqp://u@h/a/b", 6, 10, "a virtual host with a slash"),
        ("url: amqp://a,b", 6, 10, "it names several hosts"),
        ("url: amqp://a/v?heartbeat=1", 6, 10, "parameters behind `?`"),
        ("url: amqp://a\ntls: { ca: { file: c } }", 7, 5, "`tls` has no effect"),
        ("url: amqps://a\ntls: { cert: { file: c } }", 7, 12, "`cert` without `key`"),
        ("url: amqps://a\ntls: {}", 7, 5, "`tls` is empty"),
        ("uri: amqps://a", 6, 5, "unknown key `uri` in `rabbitmq`\n  hint: did you mean `url`?"),
        ("url: amqps://a\nqueue: q", 7, 5, "unknown key `queue` in `rabbitmq`\n  hint: the keys here are"),
    ];
    for (lines, line, column, part) in connections {
        // Whoever names it is not told that it is unknown.
        let text = format!("{}---\n{}", connection(lines), pipeline("rabbitmq: { connection: broker, queue: q }", ""));
        check(&text, &[(*line, *column, part)]);
        assert!(!shown(&parse_one(&text)).contains("hunter2"), "{lines}");
    }
    let twice = format!("{0}---\n{0}", connection("url: amqp://a"));
    check(&twice, &[(10, 19, "a second connection is called `broker`, the first is at platform/p.yaml:3:19")]);
    let text = "apiVersion: manade.dev/v1alpha1\nkind: Conection\n";
    check(text, &[(2, 7, "unknown kind `Conection`\n  hint: did you mean `Connection`?")]);
}

#[test]
fn a_queue_needs_a_schema_and_has_meta() {
    let text = with_broker("rabbitmq: { connection: broker, queue: q }");
    let without = text.replace("  events: { schema: { id: string, at: timestamp, n: double } }\n", "");
    check(&without, &[(SOURCE, 5, "the source `rabbitmq` needs `events.schema`")]);
    check(&text.replace("n: double", "_meta: string"), &[(SOURCE + 1, 50, "the column `_meta` is added")]);
}
