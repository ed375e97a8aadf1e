use super::{query, reachable, segment};

#[test]
fn names_and_filters_are_encoded() {
    assert_eq!(segment("by_city-2"), "by_city-2");
    assert_eq!(segment("a b/ü?"), "a%20b%2F%C3%BC%3F");
    assert_eq!(query(&[]), "");
    let pairs = [("a b".to_owned(), "eq.x&y".to_owned()), ("or".to_owned(), "(a.eq.1,b.is.null)".to_owned())];
    assert_eq!(query(&pairs), "?a+b=eq.x%26y&or=%28a.eq.1%2Cb.is.null%29");
}

#[test]
fn a_listener_on_every_address_is_reached_through_loopback() {
    let check = |listens: &str, expect: &str| {
        assert_eq!(reachable(listens.parse().expect("an address")).to_string(), expect);
    };
    check("0.0.0.0:80", "127.0.0.1:80");
    check("[::]:80", "[::1]:80");
    check("10.1.2.3:80", "10.1.2.3:80");
}
