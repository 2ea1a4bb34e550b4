//! Cuts a batch where order could be lost.
//!
//! A broker may refuse one message of a batch and take those behind it; when the batch comes again, the refused one would
//! stand behind its successors. So an object's next message goes out only when the one before it was confirmed.

use std::collections::HashSet;

use crate::OutgoingMessage;

/// The batch in pieces, in order, none of which holds two messages of one object. A piece is to be confirmed whole before
/// the next is sent.
pub(crate) fn waves(messages: &[OutgoingMessage]) -> Waves<'_> {
    Waves { rest: messages }
}

pub(crate) struct Waves<'a> {
    rest: &'a [OutgoingMessage],
}

impl<'a> Iterator for Waves<'a> {
    type Item = &'a [OutgoingMessage];

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let mut seen = HashSet::with_capacity(self.rest.len());
        let mut end = 0;
        for message in self.rest {
            let object = (
                &message.organization,
                message.object_kind(),
                &message.object,
            );
            if !seen.insert(object) {
                break;
            }
            end += 1;
        }
        let (wave, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(wave)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn check(objects: &[&str], expected: &[usize]) {
        let message = |object: &&str| OutgoingMessage {
            id: String::new(),
            organization: "org_1".into(),
            object: (*object).into(),
            kind: "deposit.confirmed".into(),
            body: Bytes::new(),
        };
        let messages: Vec<_> = objects.iter().map(message).collect();
        let lengths: Vec<_> = waves(&messages).map(<[_]>::len).collect();
        assert_eq!(lengths, expected, "{objects:?}");
    }

    #[test]
    fn no_piece_holds_an_object_twice() {
        check(&[], &[]);
        check(&["a", "b", "c"], &[3]);
        check(&["a", "b", "a", "c", "b"], &[2, 3]);
        check(&["a", "a", "a"], &[1, 1, 1]);
    }
}
