//! From tokens to text, token by token.

use std::sync::LazyLock;

use proptest::prelude::*;
use tandem_verifier::model::{ModelFiles, Speech, Stops, Text, stop_at};
use tandem_verifier::testmodel::Size;

use crate::common::written;

/// A token for each byte, and special ones from 256 on.
static TEXT: LazyLock<Text> =
    LazyLock::new(|| ModelFiles::open(written(1, Size::Small).path()).unwrap().tokenizer().unwrap());

fn spoken(tokens: &[u32]) -> (Vec<String>, String) {
    let mut speech = Speech::new(&TEXT);
    let pieces = tokens.iter().map(|&token| speech.push(token).unwrap()).collect();
    (pieces, speech.finish().unwrap())
}

proptest! {
    /// Also for bytes that are no characters, and special tokens between the bytes of one.
    #[test]
    fn the_pieces_make_up_the_decoded_text(tokens in prop::collection::vec(0_u32..262, 0..300)) {
        let (pieces, rest) = spoken(&tokens);
        prop_assert_eq!(pieces.concat() + &rest, TEXT.decode(&tokens).unwrap());
    }

    #[test]
    fn no_piece_ends_within_a_character(text in any::<String>()) {
        let tokens: Vec<u32> = text.bytes().map(u32::from).collect();
        let (pieces, rest) = spoken(&tokens);
        prop_assume!(!text.contains(char::REPLACEMENT_CHARACTER));
        prop_assert!(!pieces.concat().contains(char::REPLACEMENT_CHARACTER));
        prop_assert_eq!(rest.as_str(), "");
        // Nothing is held back longer than its own bytes take.
        let mut said = 0;
        for (index, piece) in pieces.iter().enumerate() {
            said += piece.len();
            let settled = (0..=index + 1).rev().find(|&at| text.is_char_boundary(at)).unwrap();
            prop_assert_eq!(said, settled);
        }
    }

    /// However the text is cut into pieces, what is shown is what stands before the first stop sequence.
    #[test]
    fn stop_sequences_are_found_across_pieces(
        text in "[abü]{0,40}", stops in prop::collection::vec("[abü]{1,5}", 0..4), cuts in prop::collection::vec(1_usize..6, 0..40),
    ) {
        let mut scanner = Stops::new(&stops);
        let (mut shown, mut stopped, mut rest) = (String::new(), false, text.as_str());
        for cut in cuts.into_iter().chain([usize::MAX]) {
            let cut = (0..=cut.min(rest.len())).rev().find(|&at| rest.is_char_boundary(at)).unwrap();
            let (piece, tail) = rest.split_at(cut);
            rest = tail;
            let (settled, found) = scanner.push(piece);
            shown.push_str(&settled);
            prop_assert!(text.starts_with(&shown), "nothing is shown that is not there");
            if found {
                stopped = true;
                break;
            }
        }
        if !stopped {
            shown.push_str(&scanner.finish());
        }
        // The stop sequence that is complete first counts, and of several at once the one that begins first.
        let complete = stops.iter().filter_map(|stop| text.find(stop.as_str()).map(|at| at + stop.len())).min();
        prop_assert_eq!(stopped, complete.is_some());
        match complete {
            None => prop_assert_eq!(shown, text),
            Some(_) => prop_assert!(stops.iter().all(|stop| !shown.contains(stop.as_str()))),
        }
    }

    /// The rule of the documentation, written naively.
    #[test]
    fn an_answer_stops_with_the_first_token_whose_text_contains_a_stop_sequence(
        tokens in prop::collection::vec(prop_oneof![97_u32..100, 0_u32..262], 0..60), stop in "[abc]{1,3}",
    ) {
        let contains = |n: &usize| {
            let text = TEXT.decode(&tokens[..*n]).unwrap();
            text.strip_suffix(char::REPLACEMENT_CHARACTER).unwrap_or(&text).contains(&stop)
        };
        let naive = (1..=tokens.len()).find(contains);
        prop_assert_eq!(stop_at(&TEXT, &tokens, &[stop]).unwrap(), naive);
    }
}
