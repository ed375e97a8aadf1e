use super::Position;

#[test]
fn positions_read_back() {
    let positions = [
        Position::After(7),
        Position::Within { after: 6, commit: 9, key: vec![0, 255, 46] },
        Position::Snapshot { commit: 7, key: Vec::new() },
    ];
    for position in positions {
        let id = position.id(27);
        assert_eq!(Position::parse(&id, 27), Some(position));
        assert_eq!(Position::parse(&id, 28), None, "{id}");
    }
    for id in ["", "x", "7", "@1b", "x@1b", "1.2@1b", "1.2.!@1b", "s.1@1b", "s.x.AA@1b", "1.2.AA.3@1b", "-1@1b"] {
        assert_eq!(Position::parse(id, 27), None, "{id}");
    }
}
