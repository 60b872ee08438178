//! Kills a Fabric and looks what is lost. `perper-audit --help` tells how.

use std::process::ExitCode;

use perper_bench::audit;

#[tokio::main]
async fn main() -> ExitCode {
    let options = match audit::parse(std::env::args_os()) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    let outcomes = match audit::audit(&options).await {
        Ok(outcomes) => outcomes,
        Err(error) => {
            eprintln!("perper-audit: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    print!("seed {}\n\n{}", options.seed, audit::table(&outcomes));
    let findings: Vec<_> = outcomes.iter().flat_map(|outcome| &outcome.findings).collect();
    for finding in &findings {
        println!("{:?}: {}", finding.fault, finding.text);
    }
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
