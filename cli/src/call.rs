use std::time::Duration;

use clap::Args;
use perper::{Agent, Context, protocol::NewExecution};

use crate::json;

#[derive(Args)]
pub(crate) struct Call {
    /// The agent; with an instance: AGENT/INSTANCE
    agent: String,
    /// The delegate
    delegate: String,
    /// JSON; what is no JSON is taken as text
    arguments: Vec<String>,
    /// Seconds to wait at most
    #[arg(long)]
    timeout: Option<f64>,
}

impl Call {
    pub(crate) async fn execute(self, context: &Context) -> anyhow::Result<()> {
        let agent = agent(&self.agent);
        let arguments =
            self.arguments.iter().map(|argument| json::argument(argument)).collect::<Result<_, _>>()?;
        let timeout = self.timeout.map(Duration::try_from_secs_f64).transpose()?;
        let results = context
            .fabric()
            .call_execution(NewExecution {
                agent: agent.agent,
                instance: agent.instance,
                delegate: self.delegate,
                arguments,
                timeout,
                ..NewExecution::new(context.fabric().new_id())
            })
            .await?;
        results.iter().try_for_each(|result| json::print(&json::of(&perper_values::decode(result)?)))
    }
}

fn agent(text: &str) -> Agent {
    match text.split_once('/') {
        Some((agent, instance)) => Agent::new(agent, instance),
        None => Agent::new(text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_stands_behind_a_stroke() {
        assert_eq!(agent("Shop"), Agent::new("Shop", ""));
        assert_eq!(agent("Shop/a/b"), Agent::new("Shop", "a/b"));
    }
}
