/// What a caller can do differently about it. The texts hold no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// Not reachable, not answering in time, or it did not confirm: connect again later.
    #[error("the broker is not available: {0}")]
    Unavailable(String),
    /// It answered, and will answer the same until a person changes something there or in the configuration: rights, a
    /// missing stream, a queue of another type, a message over its limit. Trying again is harmless.
    #[error("the broker refuses: {0}")]
    Refused(String),
    /// The settings of this sink or source cannot be used, or one of its files cannot be read.
    #[error("{0}")]
    Settings(String),
    /// This program was built without the client of this broker.
    #[error("this program was built without {0}: build it with the feature of that name")]
    NotBuilt(&'static str),
}
