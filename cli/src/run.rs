use std::{ffi::OsString, process::ExitCode};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use perper::Context;

use crate::{call, ps, tail};

/// Perper's command line. PERPER_FABRIC_ENDPOINT says where the Fabric is: http://127.0.0.1:40400 by default.
#[derive(Parser)]
#[command(name = "perper", no_binary_name = true, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Call a delegate, and print its results as JSON
    Call(call::Call),
    /// Look at streams
    #[command(subcommand)]
    Stream(Stream),
    /// List what there is: agents, instances, streams, sessions
    Ps,
}

#[derive(Subcommand)]
enum Stream {
    /// Print the items of a stream as they come, as JSON lines
    Tail(tail::Tail),
}

/// The command line is not understood.
const USAGE: u8 = 2;
/// As shells tell of a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// Runs a command (without the name of the program before it), and gives the exit code.
///
/// It installs handlers of signals, so it is to be the last that a process does.
pub fn run(arguments: Vec<String>) -> u8 {
    if arguments.first().is_some_and(|command| command == "fabric") {
        return serve(arguments);
    }
    let arguments = match Arguments::try_parse_from(&arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help is told by an error, too. Whoever closed the output does not want to know.
            let _ = error.print();
            return if error.use_stderr() { USAGE } else { 0 };
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.context("the threads of the client cannot be started").and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                outcome = execute(arguments.command) => outcome.map(|()| 0),
                _ = tokio::signal::ctrl_c() => Ok(INTERRUPTED),
            }
        })
    });
    outcome.unwrap_or_else(|error| {
        eprintln!("perper: {error:#}");
        1
    })
}

async fn execute(command: Command) -> anyhow::Result<()> {
    let context = perper::connect().await?;
    let outcome = match command {
        Command::Call(call) => call.execute(&context).await,
        Command::Stream(Stream::Tail(tail)) => tail.execute(&context).await,
        Command::Ps => ps::execute(&context).await,
    };
    close(&context).await;
    outcome
}

async fn close(context: &Context) {
    // What could fail is over.
    let _ = context.fabric().close().await;
}

/// The server's own command line.
fn serve(arguments: Vec<String>) -> u8 {
    let name = std::iter::once(OsString::from("perper fabric"));
    let code = perper_fabric::cli::run(name.chain(arguments.into_iter().skip(1).map(OsString::from)));
    // `ExitCode` does not tell its number; the server has three.
    [0, 1].into_iter().find(|&number| code == ExitCode::from(number)).unwrap_or(USAGE)
}
