//! `event-httpd`: parse, start logging, run, exit code.
#![forbid(unsafe_code)]

use std::io::{self, Write as _};
use std::process::ExitCode;

use event_httpd::Cli;

fn main() -> ExitCode {
    let command = match Cli::from_process() {
        Ok(command) => command,
        Err(error) => {
            error.print();
            return ExitCode::from(error.exit_code());
        }
    };
    event_httpd::start_log(command.log());
    match event_httpd::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(io::stderr(), "event-httpd: {error}").ok(); // a closed stderr changes nothing
            ExitCode::FAILURE
        }
    }
}
