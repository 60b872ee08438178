//! Runs every scenario for every language, and those between languages for every pair. See `README.md`.

mod outside;
mod peer;
mod registry;
mod runner;
mod scenario;
mod server;
mod step;
mod vocabulary;

use std::{path::Path, process::ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};
use registry::Language;
use scenario::Scenario;

fn main() -> ExitCode {
    if let Some(served) = server::run_if_told() {
        return served.map_or_else(failed, |()| ExitCode::SUCCESS);
    }
    let mut arguments = Arguments::from_args();
    if arguments.test_threads.is_none() {
        // Most of the time a scenario waits for processes.
        arguments.test_threads = std::thread::available_parallelism().ok().map(|cores| cores.get() * 2);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let loaded = registry::load(&folder.join("peers.toml"))
        .and_then(|languages| Ok((languages, scenario::load(&folder.join("scenarios"))?)));
    match loaded {
        Ok((languages, scenarios)) => {
            libtest_mimic::run(&arguments, trials(&languages, &scenarios)).exit_code()
        }
        Err(error) => failed(error),
    }
}

fn failed(error: anyhow::Error) -> ExitCode {
    eprintln!("conformance: {error:#}");
    ExitCode::FAILURE
}

/// Every scenario for every language; between two languages those that say `matrix`.
fn trials(languages: &[Language], scenarios: &[Scenario]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for caller in languages {
        for callee in languages {
            let alone = caller.name == callee.name;
            for scenario in scenarios.iter().filter(|scenario| alone || scenario.matrix) {
                let pair = match alone {
                    true => caller.name.clone(),
                    false => format!("{}_calls_{}", caller.name, callee.name),
                };
                let name = format!("{pair}::{}", scenario.name);
                let (caller, callee, scenario) = (caller.clone(), callee.clone(), scenario.clone());
                let run = move || {
                    runner::run(&scenario, &caller, &callee)
                        .map_err(|error| Failed::from(format!("{}\n{error:#}", scenario.about)))
                };
                trials.push(Trial::test(name, run));
            }
        }
    }
    trials
}
