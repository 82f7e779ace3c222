//! What a hub allows, by its options.

use hub_protocol::Forms;

use super::action::{List, Place, Publish, Resource, Subscribe};
use super::choices::{HUB, Signer, Token};
use super::event::Published;
use super::matching::{Kind, Pattern};

/// The options of a hub.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) forms: Forms,
    pub(super) is_anonymous: bool,
    /// Whose key verifies the tokens of subscribers; none without such a key.
    pub(super) subscribers: Option<Signer>,
    pub(super) has_subscriptions: bool,
    pub(super) history: usize,
    pub(super) max_queue: usize,
    pub(super) max_subscribers: Option<usize>,
}

/// What the token of a subscriber allows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowed {
    pub(super) reading: Option<&'static Token>,
    pub(super) publishing: Option<&'static Token>,
}

impl Rules {
    fn accepts(&self, pattern: &Pattern) -> bool {
        match pattern.kind.is_standard() {
            true => self.forms.standard,
            false => self.forms.deployed,
        }
    }

    /// The matchers of a subscriber that count, each once.
    pub(super) fn patterns(&self, asked: &Subscribe) -> Vec<Pattern> {
        let mut patterns = Vec::new();
        for pattern in asked.patterns.iter().filter(|one| self.accepts(one)) {
            if !patterns.contains(pattern) {
                patterns.push(*pattern);
            }
        }
        patterns
    }

    /// The last event id of a subscriber, if it counts.
    pub(super) fn last_id<'a>(&self, asked: &'a Subscribe) -> Option<&'a str> {
        let (id, place) = asked.from.as_ref()?;
        let counts = match place {
            Place::Field => true,
            Place::DeployedParameter => self.forms.deployed,
            Place::StandardParameter => self.forms.standard,
        };
        counts.then_some(id.as_str())
    }

    /// What a subscriber with this token may do, or the status of the refusal.
    pub(super) fn allow(
        &self,
        token: Option<&'static Token>,
        is_socket: bool,
    ) -> Result<Allowed, u16> {
        let Some(token) = token else {
            return match self.is_anonymous {
                true => Ok(Allowed::default()),
                false => Err(401),
            };
        };
        let is_valid = token.is_valid(self.forms);
        let may_publish = is_socket && is_valid && token.signer == Signer::Publishers;
        let publishing = may_publish.then_some(token);
        let reading = match self.subscribers {
            None => None,
            Some(signer) if is_valid && signer == token.signer => Some(token),
            Some(_) if self.is_anonymous && may_publish => None,
            Some(_) => return Err(401),
        };
        Ok(Allowed {
            reading,
            publishing,
        })
    }

    /// The update of a request to publish, or the status of the refusal.
    pub(super) fn post(&self, asked: &Publish) -> Result<Published, u16> {
        let token = asked
            .token
            .filter(|token| token.is_valid(self.forms) && token.signer == Signer::Publishers);
        self.published(asked, token.ok_or(401_u16)?, asked.id)
    }

    /// The same for the message of a WebSocket with this token.
    pub(super) fn message(&self, asked: &Publish, token: Option<&Token>) -> Result<Published, u16> {
        self.published(asked, token.ok_or(403_u16)?, asked.id)
    }

    fn published(&self, asked: &Publish, token: &Token, id: &str) -> Result<Published, u16> {
        let is_refused = |topic: &str| {
            topic.is_empty() || topic == "*" || topic.starts_with(HUB) || topic.contains('\n')
        };
        let retry: Option<Result<u64, u16>> = Some(asked.retry)
            .filter(|text| !text.is_empty())
            .map(|text| text.parse().map_err(|_| 400));
        let retry = retry.transpose()?;
        if asked.topics.is_empty() || asked.topics.iter().any(|topic| is_refused(topic)) {
            return Err(400);
        }
        if id.starts_with(['#', ' ']) || id == "earliest" || asked.event_type == "mercure" {
            return Err(400);
        }
        let covers = |topic: &&str| token.publish.iter().any(|one| one.matches(topic));
        if !asked.topics.iter().all(covers) {
            return Err(403);
        }
        if asked.data.len() + 6 * (asked.data.breaks() + 1) > self.max_queue {
            return Err(413);
        }
        Ok(Published {
            topics: asked.topics.clone(),
            data: asked.data,
            is_private: asked.is_private,
            event_type: Some(asked.event_type).filter(|text| !text.is_empty()),
            retry,
        })
    }

    /// What a list is of, or the status of the refusal.
    pub(super) fn list(&self, asked: &List) -> Result<Resource, u16> {
        let resource = match (&asked.of, self.forms.standard, self.forms.deployed) {
            _ if !self.has_subscriptions => return Err(404),
            (Resource::All, ..) => Resource::All,
            (of @ (Resource::Matching(pattern) | Resource::One(pattern, _)), ..)
                if self.accepts(pattern) =>
            {
                of.clone()
            }
            // It is read as a topic and a subscriber that are not there.
            (Resource::Matching(pattern), false, true) if pattern.kind.is_standard() => {
                Resource::One(*pattern, None)
            }
            // It is read as the name of a matcher type, and there is no such type.
            _ => return Err(404),
        };
        let token = self.allow(asked.token, false)?.reading.ok_or(401_u16)?;
        let path = asked.of.path();
        if !token.subscribe.iter().any(|one| one.matches(&path)) {
            return Err(403);
        }
        Ok(resource)
    }

    /// Whether a list is in the deployed form.
    pub(super) fn is_deployed(&self, resource: &Resource) -> bool {
        match resource {
            Resource::All => self.forms.deployed,
            Resource::Matching(pattern) | Resource::One(pattern, _) => {
                pattern.kind == Kind::Template
            }
        }
    }
}
