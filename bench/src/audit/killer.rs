use std::{future::Future, sync::Arc, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::watch;

use super::{
    calls::Calls,
    creates::Creates,
    dictionary::Dictionary,
    items::Items,
    list::List,
    load::Load,
    options::Options,
    relay::Relay,
    report::Outcome,
    tally::{Found, Tally},
};
use crate::server::{Server, ServerOptions};

/// How long the loads may take to get something done again, or to come to an end. Far more than they need.
const PATIENCE: Duration = Duration::from_secs(60);

/// One audit for each store and durability.
pub async fn audit(options: &Options) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for store in &options.stores {
        for durability in &options.durabilities {
            eprintln!("{store}, {durability}: {} kills, seed {}", options.kills, options.seed);
            outcomes.push(audit_one(options, store, durability).await?);
        }
    }
    Ok(outcomes)
}

async fn audit_one(options: &Options, store: &str, durability: &str) -> anyhow::Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let server = ServerOptions::new(&folder.path().join("data"), store, durability)?;
    let tally = Arc::new(Tally::default());
    let (stop, stopped) = watch::channel(false);
    let mut killer = Killer {
        server: None,
        options: server,
        random: StdRng::seed_from_u64(options.seed),
        tally: tally.clone(),
        kills: 0,
        restarts: 0,
        longest_recovery: Duration::ZERO,
    };
    killer.server = Some(killer.options.start().await?);
    let endpoint = format!("http://{}", killer.options.address);
    let load = |number| Load::new(endpoint.clone(), tally.clone(), stopped.clone(), options.seed ^ number);
    let loads = loads(&load, &mut killer, options.kills, stop).await;
    if loads.is_err() {
        // The data tells more than the text.
        eprintln!("  the data is kept in {}", folder.keep().display());
    } else if let Some(server) = killer.server.take() {
        server.stop().await?;
    }
    Ok(Outcome {
        store: store.to_owned(),
        durability: durability.to_owned(),
        kills: killer.kills,
        restarts: killer.restarts,
        acknowledged: tally.counts().iter().sum(),
        longest_recovery: killer.longest_recovery,
        findings: tally.findings(),
    })
}

/// Runs the loads beside the killer, and looks at everything once more after a last kill.
async fn loads(
    load: &impl Fn(u64) -> Load,
    killer: &mut Killer,
    kills: u64,
    stop: watch::Sender<bool>,
) -> Result<(), Found> {
    let mut calls = Calls::start(load(1)).await?;
    let mut creates = Creates::start(load(2)).await?;
    let mut items = Items::start(load(3)).await?;
    let mut relay = Relay::start(load(4)).await?;
    let mut dictionary = Dictionary::start(load(5)).await?;
    let mut list = List::start(load(6)).await?;

    let tally = killer.tally.clone();
    let killing = async {
        let outcome = killer.kill_often(kills).await;
        stop.send_replace(true);
        outcome?;
        Ok(())
    };
    let ending = async {
        load(0).stop().await;
        Ok(())
    };
    let running = async {
        tokio::try_join!(calls.run(), creates.run(), items.run(), relay.run(), dictionary.run(), list.run())
    };
    // Once told to stop, what is on its way must come to its end.
    let running = bounded_after(ending, running, &tally, "the loads came to no end");
    tokio::try_join!(killing, running)?;

    killer.kill().await?;
    let verifying = async {
        tokio::try_join!(
            creates.verify(),
            items.verify(),
            relay.verify(),
            dictionary.verify(),
            list.verify()
        )?;
        // After the creations, which show that nothing is kept back any more.
        calls.verify().await
    };
    bounded_after(async { Ok(()) }, verifying, &tally, "the last look came to no end").await?;
    // Tasks beside the loads may have found something.
    if tally.has_findings() { Err(Found) } else { Ok(()) }
}

/// Waits for `work`, which may take as long as [`PATIENCE`] once `begin` is over.
async fn bounded_after<T>(
    begin: impl Future<Output = Result<(), Found>>,
    work: impl Future<Output = Result<T, Found>>,
    tally: &Tally,
    late: &str,
) -> Result<T, Found> {
    let limit = async {
        begin.await?;
        tokio::time::sleep(PATIENCE).await;
        Err(tally.wrong(format!("{late} within {PATIENCE:?}")))
    };
    tokio::select! {
        outcome = work => outcome,
        outcome = limit => outcome,
    }
}

/// Kills and restarts the server.
struct Killer {
    server: Option<Server>,
    options: ServerOptions,
    random: StdRng,
    tally: Arc<Tally>,
    kills: u64,
    restarts: u64,
    longest_recovery: Duration,
}

impl Killer {
    async fn kill_often(&mut self, kills: u64) -> Result<(), Found> {
        let mut before = Default::default();
        while self.kills < kills {
            let progress = tokio::time::timeout(PATIENCE, self.tally.progress(before));
            if progress.await.is_err() {
                let (kinds, counts) = (super::tally::Kind::ALL, self.tally.counts());
                let text =
                    format!("no progress within {PATIENCE:?}: {kinds:?} were {before:?}, are {counts:?}");
                return Err(self.tally.wrong(text));
            }
            let moment = Duration::from_micros(self.random.random_range(0..250_000));
            tokio::select! {
                () = tokio::time::sleep(moment) => {}
                () = self.tally.found() => return Err(Found),
            }
            self.kill().await?;
            before = self.tally.counts();
        }
        Ok(())
    }

    /// Kills the server and starts it again; now and then kills it while it starts, too.
    async fn kill(&mut self) -> Result<(), Found> {
        if let Some(server) = self.server.take() {
            server.kill().await.map_err(|error| self.tally.wrong(format!("{error:#}")))?;
            self.kills += 1;
        }
        let failed = |error: anyhow::Error| self.tally.wrong(format!("a restart failed: {error:#}"));
        while self.random.random_bool(0.1) {
            let starting = self.options.spawn().map_err(failed)?;
            tokio::time::sleep(Duration::from_micros(self.random.random_range(0..100_000))).await;
            starting.kill().await.map_err(failed)?;
            self.kills += 1;
        }
        let server = self.options.start().await.map_err(failed)?;
        self.restarts += 1;
        self.longest_recovery = self.longest_recovery.max(server.started_in());
        self.server = Some(server);
        Ok(())
    }
}
