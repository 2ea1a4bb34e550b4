use bytes::Bytes;

/// An event on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The event's id (`evt_…`), the broker's de-duplication id too. A replay that a person asked for puts `.` and the number of the replay
    /// behind it, or else a broker that remembers ids would swallow what it was asked to deliver again.
    pub id: String,
    /// `org_…`.
    pub organization: String,
    /// The id of the object that it is about (`dep_…`): the ordering key.
    pub object: String,
    /// `deposit.confirmed`; what stands before the dot is the kind of the object.
    pub kind: String,
    /// `CloudEvents` 1.0 JSON in structured mode, `application/cloudevents+json`.
    pub body: Bytes,
}

impl OutgoingMessage {
    /// The media type of `body`.
    pub const CONTENT_TYPE: &str = "application/cloudevents+json";

    /// `deposit` of `deposit.confirmed`.
    #[must_use]
    pub fn object_kind(&self) -> &str {
        self.kind
            .split_once('.')
            .map_or(self.kind.as_str(), |(object, _)| object)
    }

    /// `<organization>.<object kind>.<object id>`, what stands behind the prefix in a NATS subject and an AMQP routing
    /// key. An event that is about no single object has `-` in its place; whatever is no letter, digit, `_` or `-` becomes `_`,
    /// so that no text can add a level or a wildcard.
    #[must_use]
    pub fn path(&self) -> String {
        let level = |text: &str| -> String {
            let clean = |c: char| {
                if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
                    c
                } else {
                    '_'
                }
            };
            match text {
                "" => "-".to_owned(),
                text => text.chars().map(clean).collect(),
            }
        };
        format!(
            "{}.{}.{}",
            level(&self.organization),
            level(self.object_kind()),
            level(&self.object)
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub name: String,
    pub value: String,
}

/// A message on its way in. Nothing in it is to be believed: whoever can publish wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingMessage {
    /// The NATS subject, the AMQP routing key, the Kafka topic.
    pub subject: String,
    /// Text headers only; one that is not UTF-8 is left out.
    pub headers: Vec<Header>,
    pub body: Bytes,
    /// Where the sender wants the answer: the header `Coffer-Reply-To` (NATS keeps no reply subject in a stream, Kafka has none), or
    /// the property `reply_to` of AMQP.
    pub reply_to: Option<String>,
    /// 1 at the first delivery, as far as the broker counts.
    pub deliveries: u64,
    /// By which it is settled.
    pub token: Token,
}

impl IncomingMessage {
    /// Header of a message in, where the broker has no property for it.
    pub const REPLY_TO: &str = "Coffer-Reply-To";

    /// The first header of that name, upper and lower case being the same.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = |header: &&Header| header.name.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .find(found)
            .map(|header| header.value.as_str())
    }
}

/// What one broker knows a delivery by; it means nothing to another connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// NATS: the subject that takes the acknowledgement.
    Subject(String),
    /// AMQP: the delivery tag of this channel.
    Tag(u64),
    /// Kafka: the offset, and which of this connection's assignments of the partition it came with.
    Offset {
        assignment: u64,
        topic: String,
        partition: i32,
        offset: i64,
    },
    /// Of a double in a test.
    Number(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, object: &str, expected: &str) {
        let message = OutgoingMessage {
            id: "evt_1".into(),
            organization: "org_1".into(),
            object: object.into(),
            kind: kind.into(),
            body: Bytes::new(),
        };
        assert_eq!(message.path(), expected);
    }

    #[test]
    fn a_path_has_three_levels_whatever_the_object_is_called() {
        check("deposit.confirmed", "dep_01-a", "org_1.deposit.dep_01-a");
        check("alarm", "", "org_1.alarm.-");
        check("network.frozen", "eip155:1", "org_1.network.eip155_1");
        check("asset.set", "a.b.>*", "org_1.asset.a_b___");
    }

    #[test]
    fn headers_are_found_in_any_case() {
        let message = IncomingMessage {
            subject: "s".into(),
            headers: vec![Header {
                name: "coffer-KEY".into(),
                value: "v".into(),
            }],
            body: Bytes::new(),
            reply_to: None,
            deliveries: 1,
            token: Token::Number(1),
        };
        assert_eq!(message.header("Coffer-Key"), Some("v"));
        assert_eq!(message.header("Coffer-Ke"), None);
    }
}
