use super::Position;

#[test]
fn positions_read_back() {
    let positions = [
        Position::After(7),
        Position::Within { after: 6, commit: 9, key: vec![0, 255, 46] },
        Position::Snapshot { commit: 7, key: Vec::new() },
    ];
    for position in positions {
        let mut text = Vec::new();
        position.write(&mut text);
        assert_eq!(Position::parse(std::str::from_utf8(&text).unwrap()), Some(position));
    }
    for text in ["", "x", "1.2", "1.2.!", "s.1", "s.x.AA", "1.2.AA.3", "-1"] {
        assert_eq!(Position::parse(text), None, "{text}");
    }
}
