//! Runs a scenario, step by step.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use perper_conformance::{Names, check, resolve};
use perper_proxy::Cut;
use rustix::process::Signal;
use serde_json::{Map, Value as Json, json};

use crate::{
    outside,
    peer::{AGENT, PATIENCE, Peer, Pending},
    registry::Language,
    scenario::{PeerPart, Scenario},
    server::Server,
    step::{CommandStep, Outcome, text},
    vocabulary,
};

/// Between two looks at what changes by and by.
const PAUSE: Duration = Duration::from_millis(10);

/// From the start of its server to the end of its processes.
pub(crate) fn run(scenario: &Scenario, caller: &Language, callee: &Language) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async {
        let mut runner = Runner::new(scenario, caller, callee).await?;
        let outcome = runner.steps(&scenario.steps).await;
        outcome.map_err(|error| error.context(runner.story()))
    });
    runtime.shutdown_background();
    outcome
}

struct Runner<'a> {
    scenario: &'a Scenario,
    languages: (&'a Language, &'a Language),
    server: Server,
    peers: BTreeMap<String, Peer>,
    names: Names,
    under_way: HashMap<String, UnderWay>,
}

struct UnderWay {
    peer: String,
    pending: Pending,
    within: bool,
}

impl<'a> Runner<'a> {
    async fn new(scenario: &'a Scenario, caller: &'a Language, callee: &'a Language) -> Result<Self> {
        let server = Server::start(&scenario.server).await?;
        let (peers, names, under_way) = (BTreeMap::new(), Names::new(), HashMap::new());
        let mut runner = Runner { scenario, languages: (caller, callee), server, peers, names, under_way };
        let now = scenario.peers.iter().filter(|(_, part)| !part.later);
        let started = now.map(|(name, part)| async {
            Ok::<_, anyhow::Error>((name.clone(), runner.start_peer(name, part).await?))
        });
        runner.peers = futures_util::future::try_join_all(started).await?.into_iter().collect();
        Ok(runner)
    }

    async fn start_peer(&self, name: &str, part: &PeerPart) -> Result<Peer> {
        let address = if part.proxy { self.server.proxy.address() } else { self.server.address() };
        let language = if part.serve { self.languages.1 } else { self.languages.0 };
        Peer::start(name, language, address, part).await
    }

    async fn steps(&mut self, steps: &[Json]) -> Result<()> {
        for (index, step) in steps.iter().enumerate() {
            let what = || format!("step {}: {step}", index + 1);
            let step = step.as_object().context("a step is an object").with_context(what)?;
            Box::pin(self.step(step)).await.with_context(what)?;
        }
        Ok(())
    }

    async fn step(&mut self, step: &Map<String, Json>) -> Result<()> {
        if step.contains_key("do") {
            return self.command(CommandStep::of(step)?).await;
        }
        let verb = vocabulary::verb(step)?;
        let object = &step[verb];
        match verb {
            "finish" => {
                let under_way = self.under_way.remove(&text(verb, object)?);
                let under_way = under_way.with_context(|| format!("{object} was not started"))?;
                let answer = answer(under_way.pending, under_way.within).await?;
                self.conclude(&answer, &Outcome::of(step)?)
            }
            "cancel" => {
                let under_way = self.under_way.get(&text(verb, object)?);
                let under_way = under_way.with_context(|| format!("{object} was not started"))?;
                let command = json!({ "do": "cancel", "target": under_way.pending.id });
                let pending = self.peer(&under_way.peer)?.send(command).await?;
                let outcome = Outcome { name: None, expect: Some(json!(true)), error: None };
                self.conclude(&pending.answer().await?, &outcome)
            }
            "event" => self.event(step).await,
            "eventually" => {
                let step = object.as_object().context("a step is an object")?;
                self.eventually(step).await
            }
            "no_event" => {
                let peer = self.peer(&peer_of(step)?)?;
                let told = peer.events().into_iter().find(|event| event["event"] == *object);
                told.map_or(Ok(()), |event| bail!("it has told {event}"))
            }
            "outside" => {
                let step = resolve(&Json::Object(step.clone()), &self.names)?;
                let step = step.as_object().context("a step is an object")?;
                let result = outside::execute(self.server.address(), step).await?;
                self.conclude(&json!({ "ok": result }), &Outcome::of(step)?)
            }
            "kill" => {
                let name = text(verb, object)?;
                let peer = self.peers.remove(&name).with_context(|| format!("there is no peer {name:?}"))?;
                peer.kill().await
            }
            "pause" => self.peer(&text(verb, object)?)?.signal(Signal::STOP),
            "resume" => self.peer(&text(verb, object)?)?.signal(Signal::CONT),
            "launch" => {
                let name = text(verb, object)?;
                let part = self.scenario.peers.get(&name);
                let part = part.with_context(|| format!("the scenario has no peer {name:?}"))?;
                let peer = self.start_peer(&name, part).await?;
                self.peers.insert(name, peer);
                Ok(())
            }
            "restart" => self.server.restart().await,
            "network" => {
                match object.as_str() {
                    Some("down") => self.server.proxy.go_down(),
                    Some("up") => self.server.proxy.come_up(),
                    _ => bail!("the network goes down or up, not {object}"),
                }
                Ok(())
            }
            "cut" => {
                match object.as_str() {
                    Some("next answer") => self.server.proxy.cut_next(Cut::Answer),
                    Some("next request") => self.server.proxy.cut_next(Cut::Request),
                    _ => bail!("what is cut is the \"next answer\" or the \"next request\", not {object}"),
                }
                Ok(())
            }
            _ => {
                let steps = step.get("steps").and_then(Json::as_array).context("for_each has steps")?;
                let values = resolve(object, &self.names)?;
                for value in values.as_array().context("for_each takes an array")? {
                    self.names.insert("it".to_owned(), value.clone());
                    self.steps(steps).await.with_context(|| format!("with {value}"))?;
                }
                Ok(())
            }
        }
    }

    /// Tries again until it is as expected: for what the Fabric does by and by, and tells nobody.
    async fn eventually(&mut self, step: &Map<String, Json>) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.command(CommandStep::of(step)?).await {
                Err(_) if Instant::now() < end => tokio::time::sleep(PAUSE).await,
                outcome => return outcome,
            }
        }
    }

    async fn command(&mut self, step: CommandStep) -> Result<()> {
        let mut command = resolve(&step.command, &self.names)?;
        if let Some(instance) = &step.within {
            let instance = match resolve(instance, &self.names)? {
                Json::String(instance) => json!({ "$agent": AGENT, "instance": instance }),
                reference => reference,
            };
            command = json!({
                "do": "call", "agent": instance, "delegate": "Do", "arguments": [command.to_string()],
            });
        }
        let pending = self.peer(&step.peer)?.send(command).await?;
        let within = step.within.is_some();
        match step.start {
            Some(name) => {
                self.under_way.insert(name, UnderWay { peer: step.peer, pending, within });
                Ok(())
            }
            None => self.conclude(&answer(pending, within).await?, &step.outcome),
        }
    }

    fn conclude(&mut self, answer: &Json, outcome: &Outcome) -> Result<()> {
        match (&outcome.error, answer.get("error")) {
            (None, Some(error)) => bail!("it fails: {error}"),
            (Some(wanted), Some(error)) => {
                let wanted = json!({ "$has": resolve(wanted, &self.names)? });
                check(&wanted, error, &mut self.names)
            }
            (Some(wanted), None) => bail!("it does not fail with {wanted}, but gives {answer}"),
            (None, None) => {
                let result = answer.get("ok").with_context(|| format!("{answer} is no answer"))?;
                if let Some(expected) = &outcome.expect {
                    check(&resolve(expected, &self.names)?, result, &mut self.names)?;
                }
                if let Some(name) = &outcome.name {
                    self.names.insert(name.clone(), result.clone());
                }
                Ok(())
            }
        }
    }

    /// Waits for an event of a peer: of a callee unless said otherwise.
    async fn event(&mut self, step: &Map<String, Json>) -> Result<()> {
        let wanted =
            json!({ "event": step["event"], "instance": step.get("instance"), "detail": step.get("detail") });
        let wanted = resolve(&wanted, &self.names)?;
        let names = self.names.clone();
        let matches = |event: &Json, names: &mut Names| {
            ["event", "instance", "detail"]
                .iter()
                .all(|part| wanted[*part].is_null() || check(&wanted[*part], &event[*part], names).is_ok())
        };
        let peer = self.peer(&peer_of(step)?)?;
        let event = peer.event(|event| matches(event, &mut names.clone())).await?;
        matches(&event, &mut self.names);
        Ok(())
    }

    fn peer(&self, name: &str) -> Result<&Peer> {
        self.peers.get(name).with_context(|| format!("there is no peer {name:?}"))
    }

    /// What helps to understand a failure.
    fn story(&mut self) -> String {
        let mut story = String::new();
        for (name, peer) in &mut self.peers {
            let log = peer.log();
            if !log.is_empty() {
                story.push_str(&format!("peer {name:?}:{log}\n"));
            }
        }
        story
    }
}

/// Whose events a step is about.
fn peer_of(step: &Map<String, Json>) -> Result<String> {
    step.get("peer").map_or_else(|| Ok("callee".to_owned()), |peer| text("peer", peer))
}

/// The answer of a command; of one within a handler, what it gave there.
async fn answer(pending: Pending, within: bool) -> Result<Json> {
    let answer = pending.answer().await?;
    if !within {
        return Ok(answer);
    }
    match answer.get("ok") {
        Some(results) => {
            let inner = results[0].as_str().with_context(|| format!("Do gives text, not {results}"))?;
            Ok(serde_json::from_str(inner)?)
        }
        None => Ok(answer),
    }
}
