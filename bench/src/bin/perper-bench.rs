//! Measures a Fabric. `perper-bench --help` tells how.

use std::process::ExitCode;

use perper_bench::{
    figures,
    options::{self, Invocation},
    report, roles, usage,
};

fn main() -> ExitCode {
    let invocation = match options::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(error) => error.exit(),
    };
    let outcome = tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| {
        let outcome = match invocation {
            // A task of the runtime, as agents are, and not of this thread, to which every wake-up would have to cross.
            Invocation::Role(role) => {
                let role = runtime.spawn(async move { roles::run(&role).await });
                runtime.block_on(role).map_err(Into::into).and_then(|outcome| outcome)
            }
            Invocation::Bench(options) => runtime.block_on(bench(options)),
        };
        // A role that failed must not wait for the thread that reads its input.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("perper-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(options: options::Options) -> anyhow::Result<()> {
    let machine = usage::machine();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("perper-bench {}", arguments.join(" "));
    eprintln!("{machine}");
    let json = options.json;
    let figures = figures::measure(options).await?;
    if json {
        println!("{:#}", report::json(&machine, command.trim_end(), &figures));
    } else {
        print!("{}\n{}\n\n{}", machine, command.trim_end(), report::table(&figures));
        print!("\n{}", report::cost_table(&figures));
    }
    Ok(())
}
