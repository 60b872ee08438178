use std::io::Write as _;

use perper::{
    Context, Result,
    protocol::{Page, PageRequest},
};

/// Prints four tables.
pub(crate) async fn execute(context: &Context) -> anyhow::Result<()> {
    let fabric = context.fabric();
    let agents = all(|page| fabric.list_agents(page)).await?;
    table(
        ["AGENT", "INSTANCES", "PENDING", "RUNNING", "PROCESSES"],
        agents.iter().map(|agent| {
            let numbers =
                [agent.instances, agent.pending_executions, agent.reserved_executions, agent.listens];
            let [instances, pending, running, listens] = numbers.map(|number| number.to_string());
            [agent.agent.clone(), instances, pending, running, listens]
        }),
    )?;
    let instances = all(|page| fabric.list_instances("", page)).await?;
    table(
        ["INSTANCE", "AGENT", "OWNER", "AGE"],
        instances.iter().map(|instance| {
            let owner = instance.owner.clone().unwrap_or_default();
            [instance.instance.clone(), instance.agent.clone(), owner, format!("{:.0?}", instance.age)]
        }),
    )?;
    let streams = all(|page| fabric.list_streams(page)).await?;
    table(
        ["STREAM", "OWNER", "ITEMS", "LISTENERS", "STATE"],
        streams.iter().map(|stream| {
            let state = match &stream.end {
                None => "open",
                Some(end) if end.error.is_some() => "failed",
                Some(_) => "ended",
            };
            let owner = stream.owner.clone().unwrap_or_default();
            let (items, listeners) = (stream.items_kept.to_string(), stream.listeners.to_string());
            [stream.stream.clone(), owner, items, listeners, state.to_owned()]
        }),
    )?;
    let sessions = all(|page| fabric.list_sessions(page)).await?;
    table(
        ["SESSION", "LIBRARY", "VERSION", "CONNECTED", "RUNNING"],
        sessions.iter().map(|session| {
            let id: String = session.session.iter().map(|byte| format!("{byte:02x}")).collect();
            let connected = if session.connected { "yes" } else { "no" }.to_owned();
            [
                id,
                session.library.clone(),
                session.version.clone(),
                connected,
                session.reservations.to_string(),
            ]
        }),
    )
}

/// Every page of a listing.
async fn all<T, F: Future<Output = Result<Page<T>>>>(page: impl Fn(PageRequest) -> F) -> Result<Vec<T>> {
    let mut entries = Vec::new();
    let mut request = PageRequest::default();
    loop {
        let page = page(request).await?;
        entries.extend(page.entries);
        if page.next.is_empty() {
            return Ok(entries);
        }
        request = PageRequest { token: page.next, ..PageRequest::default() };
    }
}

/// Columns as wide as they must be, and an empty line behind. Nothing for an empty table.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> anyhow::Result<()> {
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    if rows.len() == 1 {
        return Ok(());
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut out = std::io::stdout().lock();
    for row in &rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(writeln!(out)?)
}
