use perper_values::{Error, ErrorKind, Options, Reference, Value, reference};
use serde::{Deserialize, Serialize};

use super::reference::reference;

/// An instance of an agent: whom to call. A reference, that may stand inside any other value.
///
/// ```
/// use perper::model::Agent;
///
/// let shop = Agent::new("Shop", "shop-1");
/// let bytes = perper_values::to_vec(&("greeting", shop.clone()))?;
/// assert_eq!(perper_values::from_slice::<(String, Agent)>(&bytes)?.1, shop);
/// # Ok::<(), perper_values::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Reference", try_from = "Reference")]
pub struct Agent {
    /// The agent's name.
    pub agent: String,
    /// Id of the instance; empty for the agent's implicit one.
    pub instance: String,
    /// What newer libraries know of it; handed on as it came.
    pub options: Options,
}

const INSTANCE: &str = "instance";

reference!(Agent, reference::AGENT, agent);

impl Agent {
    /// The reference to an instance of an agent.
    pub fn new(agent: impl Into<String>, instance: impl Into<String>) -> Self {
        Agent { agent: agent.into(), instance: instance.into(), options: Options::default() }
    }
}

impl From<Agent> for Reference {
    fn from(agent: Agent) -> Self {
        let mut reference = Reference::new(reference::AGENT, agent.agent);
        reference.options = agent.options;
        if !agent.instance.is_empty() {
            reference.options.set(INSTANCE, Value::Text(agent.instance));
        }
        reference
    }
}

impl TryFrom<Reference> for Agent {
    type Error = Error;

    fn try_from(reference: Reference) -> Result<Self, Error> {
        let mut reference = reference.expect_type(reference::AGENT)?;
        let instance = match reference.options.remove(INSTANCE) {
            None => String::new(),
            Some(Value::Text(instance)) => instance,
            Some(other) => {
                let message = format!("the instance of a reference to an agent is text, not {other:?}");
                return Err(Error::new(ErrorKind::Type, message));
            }
        };
        Ok(Agent { agent: reference.id, instance, options: reference.options })
    }
}
