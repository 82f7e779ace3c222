//! Inputs for a target, from a seed.

use fastrand::Rng;
use test_support::http_cases;

use crate::{Target, connection, hub, hub_requests};

/// Makes inputs of a target's words and of random bytes, and changes some.
#[derive(Debug)]
pub struct Generator {
    choices: usize,
    words: &'static [&'static [u8]],
    random: Rng,
}

/// The most words in an input, and random bytes in a row.
const WORDS_MAX: usize = 10;
const BYTES_MAX: usize = 160;

impl Generator {
    /// One that makes the same inputs for the same seed.
    #[must_use]
    pub fn new(target: &Target, seed: u64) -> Self {
        Self {
            choices: target.choices,
            words: target.words,
            random: Rng::with_seed(seed),
        }
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let count = self.random.usize(..=most);
        (0..count).map(|_| self.random.u8(..)).collect()
    }

    /// Random bytes where there are no words, and now and then.
    fn unspoilt(&mut self) -> Vec<u8> {
        if self.words.is_empty() || self.random.usize(..16) == 0 {
            return self.bytes(BYTES_MAX);
        }
        let mut input: Vec<u8> = (0..self.choices).map(|_| self.random.u8(..)).collect();
        // Some words are whole inputs.
        let count = match self.random.usize(..4) {
            0 => 1,
            _ => self.random.usize(..=WORDS_MAX),
        };
        for _ in 0..count {
            let word = self.random.usize(..self.words.len());
            input.extend_from_slice(self.words[word]);
        }
        input
    }
}

impl Iterator for Generator {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut input = self.unspoilt();
        for _ in 0..self.random.usize(..3) {
            if input.is_empty() {
                break;
            }
            let at = self.random.usize(..input.len());
            match self.random.usize(..3) {
                0 => input[at] = self.random.u8(..),
                1 => drop(input.remove(at)),
                _ => input.insert(at, self.random.u8(..)),
            }
        }
        Some(input)
    }
}

/// Inputs with which fuzzing of a target begins: what the generator makes, for a reader of HTTP
/// requests the table of `tests/http_cases`, and what a target has of its own.
pub fn seeds(target: &Target) -> impl Iterator<Item = Vec<u8>> {
    let table = || http_cases::all().into_iter().map(|case| case.bytes);
    let cases: Vec<Vec<u8>> = match target.name {
        "request" | "gate" | "event_http" => table().collect(),
        "connection" => {
            let cases = connection::CASES.iter().map(|case| case.to_vec());
            let requests = table().map(|bytes| connection::input_of(&bytes));
            cases.chain(requests).collect()
        }
        "hub" => hub::cases(),
        "hub_requests" => hub_requests::cases(),
        _ => Vec::new(),
    };
    cases.into_iter().chain(Generator::new(target, 1).take(200))
}
