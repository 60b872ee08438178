//! Which of several Scalers acts: the one that holds a Lease.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The name of the Lease.
pub(super) const NAME: &str = "perper-scaler";

/// What is to be done about a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nobody has made it.
    Create,
    /// It is ours: say that we live.
    Renew,
    /// It was another's, who has given it up or says nothing any more.
    Take,
    /// It is another's.
    Wait,
}

/// Judges Leases. The time in a Lease is by its holder's clock, so it is only looked at for whether it changes; how long
/// it has not is measured here.
#[derive(Debug)]
struct Election {
    identity: String,
    /// The holder and the time in the Lease as they were last seen to change, and when that was.
    seen: Option<(Option<String>, Option<MicroTime>, Instant)>,
}

impl Election {
    fn step(&mut self, lease: Option<&LeaseSpec>, duration: Duration, now: Instant) -> Step {
        let Some(lease) = lease else { return Step::Create };
        let holder = lease.holder_identity.clone().filter(|holder| !holder.is_empty());
        let changed =
            self.seen.as_ref().is_none_or(|(seen, time, _)| *seen != holder || *time != lease.renew_time);
        if changed {
            self.seen = Some((holder.clone(), lease.renew_time.clone(), now));
        }
        let since = self.seen.as_ref().map_or(now, |(_, _, since)| *since);
        // The holder may have been started with another duration than we.
        let theirs = lease.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = theirs.map_or(duration, Duration::from_secs);
        match holder {
            None => Step::Take,
            Some(holder) if holder == self.identity => Step::Renew,
            Some(_) if now >= since + duration => Step::Take,
            Some(_) => Step::Wait,
        }
    }
}

/// Takes part in the election.
#[derive(Debug)]
pub(super) struct Candidate {
    leases: Api<Lease>,
    namespace: String,
    election: Election,
    duration: Duration,
    leads: watch::Sender<bool>,
}

impl Candidate {
    pub(super) fn new(client: Client, namespace: &str, identity: String, duration: Duration) -> Self {
        Candidate {
            leases: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            election: Election { identity, seen: None },
            // The field counts in seconds.
            duration: Duration::from_secs(duration.as_secs().max(1)),
            leads: watch::Sender::new(false),
        }
    }

    /// Whether this one acts.
    pub(super) fn leads(&self) -> watch::Receiver<bool> {
        self.leads.subscribe()
    }

    /// Stands until it is dropped.
    ///
    /// A holder that cannot renew stops acting after two thirds of the duration, before another may begin.
    pub(super) async fn stand(&mut self) {
        let period = self.duration / 5;
        let mut valid_until: Option<Instant> = None;
        loop {
            let begin = Instant::now();
            let next = begin + period;
            let deadline = valid_until.map_or(next, |until| until.min(next));
            match timeout_at(deadline, self.attempt(begin)).await {
                Ok(Ok(true)) => valid_until = Some(begin + self.duration * 2 / 3),
                Ok(Ok(false)) => valid_until = None,
                Ok(Err(error)) => tracing::warn!(%error, "the Lease {NAME} cannot be read or written"),
                Err(_) => tracing::warn!("the Lease {NAME} cannot be read or written: no answer"),
            }
            valid_until = valid_until.filter(|until| *until > Instant::now());
            let leads = valid_until.is_some();
            if self.leads.send_replace(leads) != leads {
                let identity = &self.election.identity;
                tracing::info!(identity, "{}", if leads { "this one acts" } else { "another one acts" });
            }
            sleep_until(valid_until.map_or(next, |until| until.min(next))).await;
        }
    }

    /// Gives the Lease up, so that another need not wait.
    pub(super) async fn resign(&self) {
        if !self.leads.send_replace(false) {
            return;
        }
        let resign = async {
            let mut lease = self.leases.get(NAME).await?;
            let Some(spec) = lease.spec.as_mut() else { return Ok(()) };
            if spec.holder_identity.as_deref() == Some(&self.election.identity) {
                spec.holder_identity = None;
                self.leases.replace(NAME, &PostParams::default(), &lease).await?;
            }
            Ok::<_, kube::Error>(())
        };
        if let Err(error) = resign.await {
            tracing::warn!(%error, "the Lease {NAME} could not be given up; another one waits until it is over");
        }
    }

    /// Whether the Lease is ours now. Whoever writes says which version he has read, so of several at once one wins.
    async fn attempt(&mut self, now: Instant) -> kube::Result<bool> {
        let existing = self.leases.get_opt(NAME).await?;
        let spec = existing.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        let step = self.election.step(spec.as_ref(), self.duration, now);
        if step == Step::Wait {
            return Ok(false);
        }
        let time = Some(MicroTime(Timestamp::now()));
        let mut renewed = spec.unwrap_or_default();
        if step != Step::Renew {
            renewed.acquire_time.clone_from(&time);
            renewed.lease_transitions =
                renewed.lease_transitions.map(|count| count.saturating_add(1)).or(Some(0));
        }
        renewed.holder_identity = Some(self.election.identity.clone());
        renewed.lease_duration_seconds = i32::try_from(self.duration.as_secs()).ok();
        renewed.renew_time = time;
        let written = match existing {
            Some(mut lease) => {
                lease.spec = Some(renewed);
                self.leases.replace(NAME, &PostParams::default(), &lease).await
            }
            None => {
                let mut lease = Lease { spec: Some(renewed), ..Lease::default() };
                lease.metadata.name = Some(NAME.to_owned());
                lease.metadata.namespace = Some(self.namespace.clone());
                self.leases.create(&PostParams::default(), &lease).await
            }
        };
        match written {
            Ok(_) => Ok(true),
            // Another one was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
