use std::collections::VecDeque;

use super::*;

#[test]
fn it_is_a_queue_whose_copies_stay_as_they_are() {
    let mut rope = Rope::default();
    let mut queue = VecDeque::new();
    let mut copies = Vec::new();
    for number in 0..2000_u32 {
        rope.push(number);
        queue.push_back(number);
        for _ in 0..number % 3 / 2 * 2 {
            rope.pop_front();
            queue.pop_front();
        }
        if number % 300 == 0 {
            copies.push((rope.clone(), queue.clone()));
        }
    }
    copies.push((rope, queue));
    for (rope, queue) in copies {
        assert_eq!(rope.front(), queue.front());
        assert!(rope.iter().eq(&queue));
        for bound in (0..2100).step_by(37) {
            let rest: Vec<u32> = queue.iter().copied().filter(|number| *number >= bound).collect();
            assert_eq!(rope.iter_from(|number| *number < bound), rest);
        }
    }
}
