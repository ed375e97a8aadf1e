use std::collections::VecDeque;

use super::*;

#[test]
fn it_is_a_list_whose_copies_stay_as_they_are() {
    let mut rope = Rope::default();
    // Ordered by the first number; the second says how often an item was replaced.
    let mut queue: VecDeque<(u32, u32)> = VecDeque::new();
    let mut copies = Vec::new();
    for number in 0..2000_u32 {
        rope.push((number, 0));
        queue.push_back((number, 0));
        for _ in 0..number % 3 / 2 * 2 {
            assert_eq!(rope.pop_front(), queue.pop_front());
        }
        if number % 5 == 0 {
            assert_eq!(rope.pop_back(), queue.pop_back());
        }
        if let Some(at) = (number as usize * 31).checked_rem(queue.len()) {
            let old = queue[at];
            queue[at].1 += 1;
            assert_eq!(rope.replace(|other| other.0 < old.0, queue[at]), Some(old));
        }
        assert_eq!(rope.back(), queue.back());
        if number % 300 == 0 {
            copies.push((rope.clone(), queue.clone()));
        }
    }
    assert_eq!(rope.clone().replace(|_| true, (0, 0)), None);
    copies.push((rope, queue));
    for (rope, queue) in copies {
        assert_eq!(rope.front(), queue.front());
        assert!(rope.iter().eq(&queue));
        for count in [0, 1, 64, 300, 5000] {
            assert!(rope.tail(count).iter().eq(queue.iter().skip(queue.len().saturating_sub(count))));
        }
        for bound in (0..2100).step_by(37) {
            let rest: Vec<_> = queue.iter().copied().filter(|item| item.0 >= bound).collect();
            assert_eq!(rope.iter_from(|item| item.0 < bound), rest);
        }
    }
}

#[test]
fn it_can_be_emptied_from_both_ends() {
    let mut rope: Rope<u32> = (0..600).collect();
    for number in 0..300 {
        assert_eq!(rope.pop_front(), Some(number));
        assert_eq!(rope.pop_back(), Some(599 - number));
    }
    assert_eq!((rope.front(), rope.back()), (None, None));
    assert_eq!((rope.pop_front(), rope.pop_back()), (None, None));
    rope.push(7);
    assert_eq!((rope.front(), rope.back()), (Some(&7), Some(&7)));
}
