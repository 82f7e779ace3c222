//! `event-httpd`: parse, start logging, run, exit code.
#![forbid(unsafe_code)]

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
    Cli::warn_of_unknown_variables();
    let result = event_httpd::run(command);
    let error = result.as_ref().err().filter(|error| !error.is_logged());
    event_httpd::finish_log(error.map(|error| error as _));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
