use super::{Comparison, Condition, Field, Is, Item, Operands, OrderItem, Query, Step, Test, parse};
use crate::formats::Format;

const COLUMNS: [&str; 5] = ["a", "b", "count(1)", "a.b", "format"];

fn field(name: &str) -> Field {
    Field { name: name.to_owned(), path: Vec::new(), text: false }
}

fn test(name: &str, test: Test) -> Condition {
    Condition::Test { field: field(name), negated: false, test }
}

fn eq(value: &str) -> Test {
    Test::Compare(Comparison::Eq, Operands { all: true, values: vec![value.to_owned()] })
}

fn check(text: &str, expected: Query) {
    assert_eq!(parse(text, &COLUMNS).unwrap(), expected, "{text}");
}

#[test]
fn filters() {
    let filter = |text: &str, expected: Condition| check(text, Query { filters: vec![expected], ..Query::default() });
    filter("a=eq.1", test("a", eq("1")));
    filter("a=eq.x.y,z)", test("a", eq("x.y,z)")));
    filter("a=eq.%22q%22", test("a", eq("\"q\"")));
    filter("count(1)=eq.1", test("count(1)", eq("1")));
    filter("a.b=eq.1", test("a.b", eq("1")));
    filter("%22x%20%5C%22y%22=eq.1", test("x \"y", eq("1")));
    filter("format=eq.1", test("format", eq("1")));
    filter("a=is.NULL", test("a", Test::Is(Is::Null)));
    filter("a=in.(1,%22b,c%22,%22d%5C%22%22)", test("a", Test::In(vec!["1".into(), "b,c".into(), "d\"".into()])));
    filter("a=in.(%22x%22y)", test("a", Test::In(vec!["\"x\"y".into()])));
    let any = Operands { all: false, values: vec!["x*".into(), "y,".into()] };
    filter("a=like(any).{x*,%22y,%22}", test("a", Test::Like { insensitive: false, operands: any }));
    let path = vec![Step::Key("k".into()), Step::Index(-2), Step::Key("z".into())];
    let deep = Field { name: "a".into(), path, text: true };
    filter("a->k->-2->>z=eq.1", Condition::Test { field: deep, negated: false, test: eq("1") });
    filter("a=not.eq.1", Condition::Test { field: field("a"), negated: true, test: eq("1") });
    let inner = Condition::Group { any: false, negated: true, of: vec![test("a", eq("1")), test("b", eq("x,y"))] };
    let outer = Condition::Group { any: true, negated: false, of: vec![test("a.b", eq("2")), inner] };
    filter("or=(a.b.eq.2,not.and(a.eq.1,b.eq.%22x,y%22))", outer);
}

#[test]
fn select_and_order() {
    let item = |name: &str, alias: Option<&str>, cast: Option<&str>| Item::Field {
        field: field(name),
        cast: cast.map(str::to_owned),
        alias: alias.map(str::to_owned),
    };
    let select = |text: &str, items: Vec<Item>| check(text, Query { select: items, ..Query::default() });
    select("select=", vec![]);
    select("select=*,x:a", vec![Item::All, item("a", Some("x"), None)]);
    select("select=a::text,b", vec![item("a", None, Some("text")), item("b", None, None)]);
    select("select=x:a::double%20precision", vec![item("a", Some("x"), Some("double precision"))]);
    select("select=count(1),%22count(1)%22", vec![item("count(1)", None, None), item("count(1)", None, None)]);
    let order = |name: &str, descending, nulls_first| OrderItem { field: field(name), descending, nulls_first };
    let items = vec![order("a", true, Some(false)), order("b", false, Some(true)), order("a.b", false, None)];
    check("order=a.desc.nullslast,b.nullsfirst,a.b", Query { order: items, ..Query::default() });
}

#[test]
fn the_rest() {
    let expected = Query {
        limit: Some(3),
        offset: Some(4),
        format: Some(Format::Csv),
        cursor: Some("x".into()),
        ..Query::default()
    };
    check("limit=3&offset=4&format=csv&cursor=x", expected);
}

#[test]
fn what_does_not_parse_is_refused_and_never_panics() {
    let pieces = [
        "a", "b", "eq", ".", "(", ")", ",", "\"", "\\", "->", "->>", "::", ":", "*", "not", "or", "in", "{", "}", "é",
        "-", "1", " ", "...", "!",
    ];
    // All sequences of three pieces in each place: a parser that loops or slices wrongly shows here.
    for first in pieces {
        for second in pieces {
            for third in pieces {
                let text = format!("{first}{second}{third}");
                let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
                for query in [
                    format!("select={encoded}"),
                    format!("order={encoded}"),
                    format!("or={encoded}"),
                    format!("a={encoded}"),
                    format!("{encoded}=eq.1"),
                    format!("or=(a.eq.1,{encoded})"),
                    format!("a=in.({encoded})"),
                ] {
                    let _ = parse(&query, &COLUMNS);
                }
            }
        }
    }
    let deep = format!("or={}a.eq.1{}", "(and".repeat(5_000), ")".repeat(5_000));
    assert!(parse(&deep, &COLUMNS).is_err());
    let deep = format!("or=({}a.eq.1{})", "and(".repeat(5_000), ")".repeat(5_000));
    assert!(parse(&deep, &COLUMNS).is_err());
}
