//! Every update that a store ever had, and what became of it.

use hub_protocol::Update;
use serde_json::Value;

/// What the topics of a subscription's events begin with.
const SUBSCRIPTIONS: &str = "/.well-known/mercure/subscriptions/";

/// The number of an update in the order of the store.
pub(super) type Serial = usize;

/// An update that a store has kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) update: Update,
    /// The store has lost it with its newest data: some have read it, and others never will.
    pub(super) is_lost: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Truth(Vec<Kept>);

/// What a subscriber asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topics {
    Only(&'static str),
    All,
}

impl Topics {
    pub(super) fn matcher(self) -> &'static str {
        match self {
            Self::Only(topic) => topic,
            Self::All => "*",
        }
    }

    fn have(self, update: &Update) -> bool {
        match self {
            Self::All => true,
            Self::Only(topic) => update.topics.iter().any(|one| one == topic),
        }
    }
}

impl Truth {
    pub(super) fn add(&mut self, encoded: &[u8]) -> Serial {
        self.0.push(Kept {
            update: Update::decode(encoded).expect("an update"),
            is_lost: false,
        });
        self.0.len() - 1
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn update(&self, serial: Serial) -> &Update {
        &self.0[serial].update
    }

    /// The store has only what it had up to this one.
    pub(super) fn note_lost(&mut self, last: Option<Serial>) {
        let first = last.map_or(0, |last| last + 1);
        self.0
            .iter_mut()
            .skip(first)
            .for_each(|kept| kept.is_lost = true);
    }

    /// The updates with that id, in order.
    pub(super) fn with_id(&self, id: &str) -> impl Iterator<Item = (Serial, &Kept)> {
        let all = self.0.iter().enumerate();
        all.filter(move |(_, kept)| kept.update.id == id)
    }

    /// The first update from there on which that subscriber has to get.
    pub(super) fn next(&self, from: Serial, topics: Topics) -> Option<Serial> {
        let wanted = |kept: &Kept| !kept.is_lost && topics.have(&kept.update);
        let found = self.0.get(from..)?.iter().position(wanted)?;
        Some(from + found)
    }

    /// Whether that subscriber may get this update.
    pub(super) fn may_get(&self, serial: Serial, topics: Topics) -> bool {
        topics.have(&self.0[serial].update)
    }

    /// The subscriptions of which the last event says that they are active, by their paths.
    pub(super) fn active(&self) -> Vec<String> {
        let mut active: Vec<String> = Vec::new();
        for kept in self.0.iter().filter(|kept| !kept.is_lost) {
            let Update { topics, data, .. } = &kept.update;
            let [path] = &topics[..] else { continue };
            if !path.starts_with(SUBSCRIPTIONS) {
                continue;
            }
            let data: Value = serde_json::from_str(data).expect("JSON");
            active.retain(|one| one != path);
            if data["active"] == true {
                active.push(path.clone());
            }
        }
        active.sort();
        active
    }
}
