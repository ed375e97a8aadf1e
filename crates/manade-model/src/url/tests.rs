use super::*;

const SCHEMES: &[&str] = &["amqp", "amqps"];

#[test]
fn parts() {
    let url = Url::parse("amqps://man%40de@broker.example:5671/%2f?heartbeat=10&x", SCHEMES).unwrap();
    let host = Host { name: "broker.example".to_owned(), port: Some(5671) };
    assert_eq!((url.user.as_deref(), &url.hosts, url.path.as_deref()), (Some("man@de"), &vec![host], Some("/")));
    assert_eq!(url.query, [("heartbeat".to_owned(), "10".to_owned()), ("x".to_owned(), String::new())]);
    assert_eq!(url.to_string(), "amqps://broker.example:5671");

    let url = Url::parse("amqp://[::1]", SCHEMES).unwrap();
    assert_eq!((url.first(5672), url.path.as_deref(), url.user.as_deref()), (("::1", 5672), None, None));
    let url = Url::parse("amqp://a:1,[fe80::2]:2/", SCHEMES).unwrap();
    assert_eq!((url.to_string().as_str(), url.path.as_deref()), ("amqp://a:1,[fe80::2]:2", Some("")));
}

#[test]
fn what_is_wrong_is_told_without_the_secret() {
    let cases = [
        ("broker", "it has no `://`"),
        ("http://broker", "it does not begin with `amqp://` or `amqps://`"),
        ("amqp://u:hunter2@broker", "it has a password in it"),
        ("amqp://u:hunter2@b@broker", "it has a password in it"),
        ("amqp://u:hunter2/x@broker", "it has a password in it"),
        ("amqp://u:hunter2?x@broker/v", "it has a password in it"),
        ("amqp://:hunter2@broker", "it has a password in it"),
        ("amqp://", "its host is no name"),
        ("amqp://a b", "its host is no name"),
        ("amqp://a,,b", "its host is no name"),
        ("amqp://a:0", "its port is no number"),
        ("amqp://a:hunter2", "its port is no number"),
        ("amqp://[::1", "`[` is not closed"),
        ("amqp://a/%2", "a `%` without two hexadecimal digits"),
        ("amqp://a/%zz", "a `%` without two hexadecimal digits"),
        ("amqp://a/%ff", "not UTF-8"),
    ];
    for (text, part) in cases {
        let error = Url::parse(text, SCHEMES).unwrap_err();
        assert!(error.message.contains(part), "{text}: {}", error.message);
        assert!(!format!("{error:?}").contains("hunter2"), "{text}: {error:?}");
    }
}
