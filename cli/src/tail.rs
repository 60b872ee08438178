use clap::Args;
use perper::{
    Context,
    protocol::{ListenFrom, ListenerOptions},
};
use serde_json::json;

use crate::json;

#[derive(Args)]
pub(crate) struct Tail {
    /// Id of the stream
    stream: String,
    /// Where to begin: latest, beginning, or a key
    #[arg(long, default_value = "latest", allow_hyphen_values = true, value_parser = from)]
    from: ListenFrom,
    /// Print each item as an array of its key and itself
    #[arg(long)]
    keys: bool,
    /// End after so many items
    #[arg(long)]
    count: Option<u64>,
}

fn from(text: &str) -> Result<ListenFrom, String> {
    match text {
        "latest" => Ok(ListenFrom::Latest),
        "beginning" => Ok(ListenFrom::Beginning),
        key => key
            .parse()
            .map(ListenFrom::Key)
            .map_err(|_| "it is neither latest, beginning, nor a key".to_owned()),
    }
}

impl Tail {
    pub(crate) async fn execute(self, context: &Context) -> anyhow::Result<()> {
        let options = ListenerOptions { from: self.from, ..ListenerOptions::new(&self.stream) };
        let mut listener = context.fabric().attach_listener(options);
        let mut left = self.count;
        while left != Some(0)
            && let Some(item) = listener.next().await?
        {
            let value = json::of(&perper_values::decode(&item.value)?);
            json::print(&if self.keys { json!([item.key, value]) } else { value })?;
            left = left.map(|left| left - 1);
        }
        Ok(())
    }
}
