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
    assert_eq!((queue.declare, queue.from), (Some(QueueType::Quorum), None));
    for (keys, from) in [
        ("from: next", StreamStart::Next),
        ("declare: { type: stream }", StreamStart::First),
        ("declare: { type: stream }, from: next", StreamStart::Next),
    ] {
        let text = with_broker(&format!("rabbitmq: {{ connection: broker, queue: q, {keys} }}"));
        let Source::RabbitMq(queue) = checked_pipeline(&text).source else { panic!() };
        assert_eq!(queue.from, Some(from), "{keys}");
    }
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
            "`type` expects `quorum`, `classic` or `stream`",
        ),
        (
            "rabbitmq: { connection: broker, queue: q, from: first, declare: {} }",
            47,
            "`from` is of streams, and `declare` makes another queue",
        ),
        ("rabbitmq: { connection: broker, queue: q, from: last }", 53, "`from` expects `first` or `next`"),
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

const STORE: &str = "apiVersion: manade.dev/v1alpha1\nkind: Connection\nmetadata: { name: store }\nspec:\n  mongodb:\n";

/// A store with these lines, and a pipeline whose result has these sinks, in line 15 where there is one line.
fn with_store(lines: &str, sinks: &str) -> String {
    let lines: Vec<String> = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "{STORE}{}---\napiVersion: manade.dev/v1alpha1\nkind: Pipeline\nmetadata: {{ name: p }}\nspec:\n  source: {{ http: \
         {{}} }}\n  events: {{ schema: {{ id: string }} }}\n  results:\n    - name: r\n      sql: SELECT id FROM events\n      \
         sinks: {sinks}\n",
        lines.concat()
    )
}

const URL: &str = "url: mongodb://manade@a,b:27018,c/?replicaSet=rs0";
/// Of `sinks` in [`with_store`], with one line.
const SINKS: usize = 17;

#[test]
fn a_sink_has_what_its_connection_says() {
    let text = with_store(
        &format!("{URL}\npassword: {{ env: P }}\ntls: {{ ca: {{ file: ca.pem }} }}"),
        "[collection, mongodb: { connection: store, database: d, collection: c, backfill: false }]",
    );
    let parsed = parse_one(&text);
    assert_eq!(shown(&parsed), "");
    let result = &parsed.platform.pipelines[0].results[0];
    assert_eq!(result.sinks, [Sink::Collection]);
    let [sink] = &result.outside[..] else { panic!() };
    let OutsideTarget::MongoDb(target) = &sink.target else { panic!() };
    assert_eq!((sink.name().as_str(), sink.backfill), ("mongodb:store/d.c", false));
    let tls = Tls { ca: Some(Secret::File("platform/ca.pem".into())), identity: None };
    assert_eq!(target.store.tls, Some(tls));
    assert_eq!(target.store.password, Some(Secret::Env("P".to_owned())));
    assert_eq!(target.store.url.to_string(), "mongodb://a,b:27018,c");

    // The collection is kept with a sink outside alone too.
    let text = with_store("url: mongodb://a/?tls=true", "[mongodb: { connection: store, database: d, collection: c }]");
    let result = checked_pipeline(&text).results.remove(0);
    assert_eq!((result.sinks, result.outside[0].backfill), (vec![Sink::Collection], true));
    let OutsideTarget::MongoDb(target) = &result.outside[0].target else { panic!() };
    assert_eq!(target.store.tls, Some(Tls::default()));
}

#[test]
fn wrong_sinks() {
    let sinks: &[(&str, usize, &str)] = &[
        (
            "[mongodb: { connection: stor, database: d, collection: c }]",
            38,
            "no connection is called `stor`\n  hint: did you mean `store`?",
        ),
        ("[mongodb: { database: d, collection: c }]", 15, "`connection` is missing in `mongodb`"),
        ("[mongodb: { connection: store, collection: c }]", 15, "`database` is missing in `mongodb`"),
        ("[mongodb: { connection: store, database: d }]", 15, "`collection` is missing in `mongodb`"),
        ("[mongodb: { connection: store, database: a.b, collection: c }]", 55, "`database` has a '.'"),
        ("[mongodb: { connection: store, database: admin, collection: c }]", 55, "keeps for itself"),
        ("[mongodb: { connection: store, database: d, collection: a$b }]", 70, "`collection` has a '$'"),
        ("[mongodb: { connection: store, database: d, collection: system.x }]", 70, "begins with `system.`"),
        (
            "[discard, mongodb: { connection: store, database: d, collection: c }]",
            15,
            "`discard` cannot be combined with a sink outside: rows are sent from the collection",
        ),
        (
            "[mongo: { connection: store }]",
            15,
            "unknown key `mongo` in an item of `sinks`\n  hint: the keys here are mongodb, rabbitmq, parquet",
        ),
        ("[mongodb]", 15, "`collection` or `discard`"),
    ];
    for (sinks, column, part) in sinks {
        check(&with_store(URL, sinks), &[(SINKS, *column, part)]);
    }
    let connections: &[(&str, usize, usize, &str)] = &[
        ("url: mongodb://u:hunter2@h", 6, 10, "has a password in it"),
        ("url: mongodb+srv://u@h", 6, 10, "does not begin with `mongodb://`"),
        ("url: mongodb://h\npassword: { env: A }", 6, 10, "it names no user, and there is a password"),
        ("url: mongodb://h/?replicaset=a", 6, 10, "`replicaset` is not taken\n  hint: did you mean `replicaSet`?"),
        ("url: mongodb://h/?w=0", 6, 10, "`w` is not taken\n  hint: the options here are replicaSet"),
        ("url: mongodb://h/?tls=yes", 6, 10, "`tls` is neither true nor false"),
        ("url: mongodb://h/?tls=false\ntls: { ca: { file: c } }", 7, 5, "`tls` has no effect"),
        ("url: mongodb://h/a/b", 6, 10, "a database with a slash"),
    ];
    for (lines, line, column, part) in connections {
        let text = with_store(lines, "[mongodb: { connection: store, database: d, collection: c }]");
        check(&text, &[(*line, *column, part)]);
        assert!(!shown(&parse_one(&text)).contains("hunter2"), "{lines}");
    }
    let one = "mongodb: { connection: store, database: d, collection: c }";
    let text = with_store(URL, &format!("[{one}, {one}]"));
    check(&text, &[(SINKS, 75, "a second sink writes to mongodb:store/d.c, the first is at platform/p.yaml:17:15")]);
    let text = with_store(URL, "[mongodb: { connection: broker, database: d, collection: c }]");
    let text = format!("{}---\n{text}", connection("url: amqp://a"));
    check(&text, &[(24, 38, "`broker` leads to rabbitmq, not mongodb")]);
}

/// A pipeline that reads a queue, and whose result has these sinks, in line 18.
fn with_broker_sink(sinks: &str) -> String {
    let source = pipeline("rabbitmq: { connection: broker, queue: q }", "");
    let at = source.find("  results:").expect("it has results");
    let results = format!("  results:\n    - name: r\n      sql: SELECT id FROM events\n      sinks: {sinks}\n");
    format!("{}---\n{}{results}", connection("url: amqp://a"), &source[..at])
}

#[test]
fn messages_go_to_an_exchange_or_a_queue() {
    let text = with_broker_sink(
        "[rabbitmq: { connection: broker, exchange: alerts, routingKey: a.b, mandatory: false }, rabbitmq: { connection: \
         broker, routingKey: q2, backfill: false }]",
    );
    let parsed = parse_one(&text);
    assert_eq!(shown(&parsed), "");
    let [first, second] = &parsed.platform.pipelines[0].results[0].outside[..] else { panic!() };
    assert_eq!((first.name().as_str(), first.backfill), ("rabbitmq:broker/alerts/a.b", true));
    assert_eq!((second.name().as_str(), second.backfill), ("rabbitmq:broker/amq.default/q2", false));
    let OutsideTarget::RabbitMq(target) = &first.target else { panic!() };
    assert!(!target.mandatory);
    let OutsideTarget::RabbitMq(target) = &second.target else { panic!() };
    assert!(target.mandatory);
}

#[test]
fn rows_go_to_a_folder() {
    let text = with_broker_sink("[parquet: { path: lake/r, partitionBy: [day, id], every: 5 minutes, size: 1 MiB }]");
    let parsed = parse_one(&text);
    assert_eq!(shown(&parsed), "");
    let [sink] = &parsed.platform.pipelines[0].results[0].outside[..] else { panic!() };
    assert_eq!((sink.name().as_str(), sink.backfill), ("parquet:lake/r", true));
    let OutsideTarget::Parquet(target) = &sink.target else { panic!() };
    assert_eq!(target.folder, std::path::Path::new("platform/lake/r"));
    assert_eq!((target.every, target.size), (Duration::from_mins(5), 1 << 20));
    let names: Vec<&str> = target.partition_by.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["day", "id"]);
    check(
        &with_broker_sink("[parquet: { path: a }, parquet: { path: ./a }]"),
        &[(SOURCE + 5, 37, "a second sink writes to parquet:./a")],
    );
    check(
        &with_broker_sink("[parquet: { path: a, partitionBy: [d, d] }]"),
        &[(SOURCE + 5, 52, "`d` stands twice in `partitionBy`")],
    );
}

#[test]
fn wrong_exchanges() {
    let long = "x".repeat(256);
    let cases: &[(String, usize, &str)] = &[
        ("[rabbitmq: { connection: broker, exchange: '', routingKey: a }]".to_owned(), 57, "`exchange` is empty"),
        (
            "[rabbitmq: { connection: broker }]".to_owned(),
            15,
            "the default exchange needs a queue\n  hint: write the queue as `routingKey`",
        ),
        (
            format!("[rabbitmq: {{ connection: broker, routingKey: {long} }}]"),
            59,
            "`routingKey` is longer than 255 bytes",
        ),
        (
            "[rabbitmq: { connection: broker, exchange: e, routing_key: a }]".to_owned(),
            60,
            "did you mean `routingKey`?",
        ),
        (
            "[rabbitmq: { connection: broker, routingKey: a }, rabbitmq: { connection: broker, routingKey: a }]"
                .to_owned(),
            64,
            "a second sink writes to rabbitmq:broker/amq.default/a",
        ),
    ];
    for (sinks, column, part) in cases {
        check(&with_broker_sink(sinks), &[(SOURCE + 5, *column, part)]);
    }
}
