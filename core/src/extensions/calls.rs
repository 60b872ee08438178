use perper_values::Sequence;
use serde::{Serialize, de::DeserializeOwned};

use super::{ambient::context, context::Context};
use crate::{Error, ErrorKind, Result, model::Agent, protocol::NewInstance};

/// Calls a delegate of the current instance and waits for its results.
///
/// `arguments` is one value, a tuple for several, `()` for none; so is what comes back. Dropping the future cancels the
/// call.
///
/// ```no_run
/// # async fn example() -> perper::Result<()> {
/// let sum: i64 = perper::call("Add", (2, 3)).await?;
/// let (quotient, remainder): (i64, i64) = perper::call("Divide", (7, 2)).await?;
/// # let _ = (sum, quotient, remainder);
/// # Ok(())
/// # }
/// ```
pub async fn call<R: DeserializeOwned>(delegate: &str, arguments: impl Serialize) -> Result<R> {
    context()?.call(delegate, arguments).await
}

/// Calls a delegate of an instance of an agent and waits for its results; as [`call`].
pub async fn call_agent<R: DeserializeOwned>(
    agent: &Agent,
    delegate: &str,
    arguments: impl Serialize,
) -> Result<R> {
    context()?.call_agent(agent, delegate, arguments).await
}

/// Starts an instance of an agent, and gives the reference to it together with what its `Start` delegate returned.
///
/// The instance belongs to the current one, if there is one: it is stopped with it.
///
/// ```no_run
/// # async fn example() -> perper::Result<()> {
/// let (shop, ()) = perper::start_agent("Shop", "Sofia").await?;
/// let price: f64 = shop.call("Price", "apples").await?;
/// shop.stop().await?;
/// # drop(price);
/// # Ok(())
/// # }
/// ```
pub async fn start_agent<R: DeserializeOwned>(agent: &str, arguments: impl Serialize) -> Result<(Agent, R)> {
    context()?.start_agent(agent, arguments).await
}

/// Stops an instance: calls its `Stop` delegate, then cancels what is left and destroys what it owns. False when there
/// was no such instance.
pub async fn stop_agent(agent: &Agent) -> Result<bool> {
    context()?.stop_agent(agent).await
}

impl Context {
    /// As [`call`].
    pub async fn call<R: DeserializeOwned>(&self, delegate: &str, arguments: impl Serialize) -> Result<R> {
        if self.agent_name().is_empty() {
            let message = format!(
                "the call of {delegate:?} names no agent and this context has none; use `call_agent`, or set \
                 X_PERPER_AGENT"
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        self.call_agent(&self.agent(), delegate, arguments).await
    }

    /// As [`call_agent`].
    pub async fn call_agent<R: DeserializeOwned>(
        &self,
        agent: &Agent,
        delegate: &str,
        arguments: impl Serialize,
    ) -> Result<R> {
        let arguments = encode_arguments(&arguments)?;
        let execution = self.new_call(agent, delegate, arguments);
        let _waiting = self.wait();
        let results = self.fabric().call_execution(execution).await?;
        Ok(Sequence::Results.decode(&results)?)
    }

    /// As [`start_agent`].
    pub async fn start_agent<R: DeserializeOwned>(
        &self,
        agent: &str,
        arguments: impl Serialize,
    ) -> Result<(Agent, R)> {
        let mut instance = NewInstance {
            agent: agent.to_owned(),
            instance: self.fabric().new_id(),
            arguments: encode_arguments(&arguments)?,
            owner: self.owner(),
            timeout: self.remaining(),
            ..NewInstance::default()
        };
        if let Some(trace) = self.trace() {
            trace.write_headers(&mut instance.headers);
        }
        let agent = Agent::new(agent, &instance.instance);
        let _waiting = self.wait();
        let started = self.fabric().start_instance(instance).await?;
        Ok((agent, Sequence::Results.decode(&started.results)?))
    }

    /// As [`stop_agent`].
    pub async fn stop_agent(&self, agent: &Agent) -> Result<bool> {
        let _waiting = self.wait();
        self.fabric().stop_instance(&agent.instance, false, self.remaining()).await
    }
}

impl Agent {
    /// Calls a delegate of this instance, in the current context; as [`call_agent`].
    pub async fn call<R: DeserializeOwned>(&self, delegate: &str, arguments: impl Serialize) -> Result<R> {
        context()?.call_agent(self, delegate, arguments).await
    }

    /// Stops this instance, in the current context; as [`stop_agent`].
    pub async fn stop(&self) -> Result<bool> {
        context()?.stop_agent(self).await
    }
}

/// The arguments of a call, each one value.
pub(crate) fn encode_arguments<T: Serialize + ?Sized>(arguments: &T) -> Result<Vec<bytes::Bytes>> {
    let encoded = Sequence::Parameters.encode(arguments);
    Ok(encoded.map_err(|error| error.at_root("arguments"))?)
}
