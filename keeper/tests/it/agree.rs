//! The agreement on a list, as a game: messages are lost, delayed and reordered at random, clocks are apart, and as many
//! keepers as may do whatever they like. No two lists are ever decided, and one is as soon as messages arrive.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256};
use proptest::prelude::*;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use tandem_keeper::{
    agree::{Ballot, Step, Votes, worth_keeping},
    rows::RowKey,
};

type Rows = BTreeMap<RowKey, u32>;

fn keeper(index: usize) -> Address {
    Address::with_last_byte(index as u8 + 1)
}

fn list(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

/// What one keeper knows.
#[derive(Clone, Default)]
struct Mind {
    proposals: BTreeMap<u32, B256>,
    votes: Votes,
    rows: Rows,
    decided: Option<B256>,
}

/// Something said.
#[derive(Clone, Copy, Debug)]
enum Word {
    Proposal { round: u32, content: B256 },
    Vote { round: u32, step: Step, keeper: Address, content: B256 },
}

impl Mind {
    /// As a keeper does: of proposals the first counts, of votes what is worth keeping.
    fn hear(&mut self, words: &[Word], count: usize, threshold: usize) {
        let mut shown = Votes::new();
        for word in words {
            match *word {
                Word::Proposal { round, content } => drop(self.proposals.entry(round).or_insert(content)),
                Word::Vote { round, step, keeper, content } => {
                    shown.entry((round, step)).or_default().insert((keeper, content));
                }
            }
        }
        for (slot, kept) in worth_keeping(&self.votes, &shown, count, threshold) {
            self.votes.entry(slot).or_default().extend(kept);
        }
    }

    fn words(&self) -> Vec<Word> {
        let proposals =
            self.proposals.iter().map(|(round, content)| Word::Proposal { round: *round, content: *content });
        let votes = self.votes.iter().flat_map(|((round, step), votes)| {
            let vote = |(keeper, content): &(Address, B256)| Word::Vote {
                round: *round,
                step: *step,
                keeper: *keeper,
                content: *content,
            };
            votes.iter().map(vote)
        });
        proposals.chain(votes).collect()
    }
}

struct Game {
    count: usize,
    threshold: usize,
    /// The first so many do what they like.
    hostile: usize,
    minds: Vec<Mind>,
    /// Every list that was ever thought of, which anybody can read.
    lists: BTreeMap<B256, Rows>,
    /// What honest keepers said and nobody has heard yet.
    said: Vec<Word>,
    random: ChaCha8Rng,
}

impl Game {
    fn new(seed: u64, count: usize, hostile: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let row = |number: u16| ((number, Address::ZERO), 1);
        // Often everybody holds the same rows, so that every list will do.
        let holds = *[0.7, 0.0].choose(&mut random).unwrap();
        let minds = (0..count)
            .map(|_| Mind { rows: (0..3).filter(|_| random.random_bool(holds)).map(row).collect(), ..Mind::default() })
            .collect();
        let threshold = 2 * count / 3 + 1;
        let lists = BTreeMap::from([(list(0xff), (0..3).map(row).collect()), (list(0x80), Rows::new())]);
        Self { count, threshold, hostile, minds, lists, said: Vec::new(), random }
    }

    /// Keeper `index` acts in `round`, as the decision core would.
    fn act(&mut self, index: usize, round: u32) {
        let mind = &self.minds[index];
        let ballot = Ballot {
            me: keeper(index),
            threshold: self.threshold,
            round,
            proposals: &mind.proposals,
            lists: &self.lists,
            rows: &mind.rows,
            votes: &mind.votes,
        };
        let word = if let Some(decided) = ballot.decided() {
            let before = self.minds[index].decided.replace(decided);
            assert!(before.is_none_or(|before| before == decided), "a decision changed");
            return;
        } else if let Some((step, content)) = ballot.vote() {
            Word::Vote { round, step, keeper: keeper(index), content }
        } else if round as usize % self.count == index && !mind.proposals.contains_key(&round) {
            let rows = mind.rows.clone();
            // As by its hash: other rows, another name.
            let name = rows.keys().fold(index as u8 + 1, |name, (row, _)| name | 0x10 << row);
            let content = ballot.valid().unwrap_or_else(|| list(name));
            self.lists.entry(content).or_insert(rows);
            Word::Proposal { round, content }
        } else {
            return;
        };
        self.tell(index, &[word]);
        self.said.push(word);
    }

    /// The hostile keepers say something to somebody, nothing of it to others. Most of the time they lend their votes to
    /// what honest keepers consider now: so quorums arise that few can see.
    fn lie(&mut self, round: u32) {
        let to = self.random.random_range(self.hostile..self.count);
        let now: BTreeSet<B256> = self.minds.iter().filter_map(|mind| mind.proposals.get(&round).copied()).collect();
        let mut contents: Vec<B256> = now.into_iter().collect();
        let mut round = round;
        if contents.is_empty() || self.random.random_bool(0.2) {
            contents = self.lists.keys().copied().collect();
            round = self.random.random_range(round.saturating_sub(2)..=round + 1);
        }
        let content = *contents.choose(&mut self.random).unwrap();
        for from in 0..self.hostile {
            if round as usize % self.count == from && self.random.random() {
                self.tell(to, &[Word::Proposal { round, content }]);
            }
            for step in [Step::Prevote, Step::Precommit] {
                self.tell(to, &[Word::Vote { round, step, keeper: keeper(from), content }]);
            }
        }
    }

    fn tell(&mut self, to: usize, words: &[Word]) {
        self.minds[to].hear(words, self.count, self.threshold);
    }

    fn decided(&self) -> BTreeSet<B256> {
        self.minds.iter().filter_map(|mind| mind.decided).collect()
    }

    /// Storm: messages arrive at some and not at others, clocks are a round apart.
    fn storm(&mut self, rounds: u32, arrives: f64) {
        for round in 0..rounds {
            for _ in 0..self.count * 6 {
                let index = self.random.random_range(self.hostile..self.count);
                let skewed = round.saturating_sub(u32::from(self.random.random_bool(0.3)));
                self.act(index, skewed);
                if self.hostile > 0 {
                    self.lie(round);
                }
                // Heard now or not before the calm.
                for word in std::mem::take(&mut self.said) {
                    for listener in self.hostile..self.count {
                        if self.random.random_bool(arrives) {
                            self.tell(listener, &[word]);
                        }
                    }
                }
                assert!(self.decided().len() <= 1, "two lists were decided: {:?}", self.decided());
            }
        }
    }

    /// Calm: what honest keepers know, all of them know, and everybody acts; the hostile go on.
    fn calm(&mut self, rounds: std::ops::Range<u32>) {
        let all: Rows = self.minds.iter().flat_map(|mind| mind.rows.clone()).collect();
        for mind in &mut self.minds[self.hostile..] {
            mind.rows = all.clone();
        }
        for round in rounds {
            for _ in 0..6 {
                for index in self.hostile..self.count {
                    self.act(index, round);
                }
                if self.hostile > 0 {
                    (0..self.count).for_each(|_| self.lie(round));
                }
                // Votes are shown on: what the hostile told one keeper, it tells the others.
                let known: Vec<_> = self.minds[self.hostile..].iter().map(Mind::words).collect();
                for listener in self.hostile..self.count {
                    known.iter().for_each(|words| self.tell(listener, words));
                }
                assert!(self.decided().len() <= 1, "two lists were decided: {:?}", self.decided());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(feature = "deep") { 5_000 } else { 100 }))]

    /// `[KP-2]` Whatever is lost, late or a lie, as long as fewer than a third lie; and then one list is decided by everybody
    /// within as many rounds as there are keepers.
    #[test]
    fn no_two_lists_are_decided_and_one_is_when_messages_arrive(
        seed: u64, count in 4usize..=7, liars in 0usize..=2, rounds in 1u32..8, arrives in 0.2..0.9f64,
    ) {
        let hostile = liars.min((count - 1) / 3);
        let mut game = Game::new(seed, count, hostile);
        game.storm(rounds, arrives);
        game.calm(rounds..rounds + 2 * count as u32);
        let undecided = game.minds[hostile..].iter().filter(|mind| mind.decided.is_none()).count();
        prop_assert_eq!(undecided, 0, "of {} keepers, {} hostile", count, hostile);
    }
}

/// A storm in which a keeper, whose chain time stepped back, precommitted in a round that it had left.
#[test]
fn a_keeper_whose_clock_steps_back_votes_in_no_round_that_it_has_left() {
    let mut game = Game::new(2_500_128_343_732_000_215, 4, 1);
    game.storm(2, 0.575_896_989_874_738_1);
    game.calm(2..10);
    assert_eq!(game.decided().len(), 1);

    let lists = BTreeMap::from([(list(1), Rows::new()), (list(2), Rows::new())]);
    let proposals = BTreeMap::from([(0, list(1)), (1, list(2))]);
    let voted = |keepers: &[usize], content| keepers.iter().map(|index| (keeper(*index), content)).collect();
    let mut votes: Votes = BTreeMap::from([((0, Step::Prevote), voted(&[1, 2, 3], list(1)))]);
    let ballot = |votes: &Votes, round| {
        let rows = Rows::new();
        Ballot { me: keeper(0), threshold: 3, round, proposals: &proposals, lists: &lists, rows: &rows, votes }.vote()
    };
    assert_eq!(ballot(&votes, 0), Some((Step::Precommit, list(1))));
    votes.insert((1, Step::Prevote), voted(&[0], list(2)));
    assert_eq!(ballot(&votes, 0), None, "the quorum came to be known after it voted for another list");
    assert_eq!(ballot(&votes, 1), None, "and there it has voted");
}

/// Who is locked holds others to it: the case that a rule without locks gets wrong.
#[test]
fn a_keeper_that_precommitted_votes_for_nothing_else_until_a_quorum_has_since() {
    let rows = Rows::new();
    let lists = BTreeMap::from([(list(1), Rows::new()), (list(2), Rows::new())]);
    let votes_of = |keepers: &[usize], content| keepers.iter().map(|index| (keeper(*index), content)).collect();
    let mut votes: Votes = BTreeMap::from([
        ((0, Step::Prevote), votes_of(&[0, 1, 2], list(1))),
        ((0, Step::Precommit), votes_of(&[0], list(1))),
    ]);
    let proposals = BTreeMap::from([(0, list(1)), (1, list(2)), (2, list(2))]);
    let ballot = |me, round, votes: &Votes| {
        let ballot =
            Ballot { me: keeper(me), threshold: 3, round, proposals: &proposals, lists: &lists, rows: &rows, votes };
        (ballot.vote(), ballot.valid())
    };
    assert_eq!(ballot(0, 1, &votes), (None, Some(list(1))), "locked in round 0");
    assert_eq!(ballot(1, 1, &votes), (Some((Step::Prevote, list(2))), Some(list(1))), "not locked");
    votes.insert((1, Step::Prevote), votes_of(&[1, 2, 3], list(2)));
    assert_eq!(ballot(0, 1, &votes).0, Some((Step::Precommit, list(2))), "a quorum in this round");
    assert_eq!(ballot(0, 2, &votes), (Some((Step::Prevote, list(2))), Some(list(2))), "a quorum in a round since");
}

#[test]
fn a_keeper_votes_once_a_round_and_step() {
    let lists = BTreeMap::from([(list(1), Rows::new())]);
    let proposals = BTreeMap::from([(3, list(1))]);
    let mut votes = Votes::new();
    let mut cast = Vec::new();
    for _ in 0..4 {
        let ballot = Ballot {
            me: keeper(0),
            threshold: 1,
            round: 3,
            proposals: &proposals,
            lists: &lists,
            rows: &Rows::new(),
            votes: &votes,
        };
        let Some((step, content)) = ballot.vote() else { continue };
        cast.push(step);
        votes.entry((3, step)).or_default().insert((keeper(0), content));
    }
    assert_eq!(cast, [Step::Prevote, Step::Precommit]);
}
