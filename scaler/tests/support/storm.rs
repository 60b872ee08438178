//! Instances created and destroyed at random. `PERPER_SCALER_CHURN=1000` makes it a thousand; `PERPER_SEED` repeats a run.

use std::collections::BTreeSet;

use perper::protocol::{Fabric, NewInstance};
use rand::prelude::*;
use rand::rngs::StdRng;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

pub(crate) struct Storm {
    agent: &'static str,
    pub(crate) instances: u64,
    pub(crate) seed: u64,
    begun: u64,
    random: StdRng,
    wanted: BTreeSet<String>,
}

impl Storm {
    /// So many instances of an agent, unless the environment says how many.
    pub(crate) fn new(agent: &'static str, instances: u64) -> Self {
        let instances = from_environment("PERPER_SCALER_CHURN").unwrap_or(instances);
        let seed = from_environment("PERPER_SEED").unwrap_or_else(rand::random);
        println!("PERPER_SCALER_CHURN={instances} PERPER_SEED={seed}");
        let random = StdRng::seed_from_u64(seed);
        Storm { agent, instances, seed, begun: 0, random, wanted: BTreeSet::new() }
    }

    /// Starts the next instance, and with one in three has another go, or the same. False if there were enough.
    pub(crate) async fn step(&mut self, fabric: &Fabric) -> bool {
        if self.begun == self.instances {
            return false;
        }
        let id = format!("i{}", self.begun);
        self.begun += 1;
        let instance =
            NewInstance { agent: self.agent.into(), instance: id.clone(), ..NewInstance::default() };
        fabric.start_instance(instance).await.expect("it starts");
        self.wanted.insert(id);
        if self.one_in(3) {
            let gone = self.wanted.iter().choose(&mut self.random).cloned().expect("there is one");
            assert!(fabric.stop_instance(&gone, false, None).await.expect("it stops"));
            self.wanted.remove(&gone);
        }
        true
    }

    /// How many were started.
    pub(crate) fn begun(&self) -> u64 {
        self.begun
    }

    /// True once in so many times.
    pub(crate) fn one_in(&mut self, times: u32) -> bool {
        self.random.random_ratio(1, times)
    }

    pub(crate) fn choose<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.choose(&mut self.random)
    }

    /// What should run by now.
    pub(crate) fn wanted(&self) -> Vec<&str> {
        self.wanted.iter().map(String::as_str).collect()
    }
}
