//! Every target with generated inputs, so that stable runs what is fuzzed.
//!
//! `FUZZ_RUNS` is the number of inputs of each target, `FUZZ_SEED` where they begin. An input that
//! fails is printed, and becomes a test in `found.rs`.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use fuzz_targets::{Generator, TARGETS, seeds, target};
use test_support::limited;

/// Inputs of each target, unless `FUZZ_RUNS` says otherwise.
const RUNS: usize = 400;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |number| number.parse().unwrap())
}

/// Runs a target with its seeds, and with what a generator makes.
fn bounded(name: &str) {
    let target = target(name);
    let runs = usize::try_from(number("FUZZ_RUNS", RUNS as u64)).unwrap();
    let generator = Generator::new(target, number("FUZZ_SEED", 0));
    for input in seeds(target).chain(generator.take(runs)) {
        let result = catch_unwind(AssertUnwindSafe(|| limited(|| (target.run)(&input))));
        if let Err(panic) = result {
            eprintln!("{name}: b\"{}\"", input.escape_ascii());
            resume_unwind(panic);
        }
    }
}

#[test]
fn two_buffers_do_as_two_lists_of_bytes_do() {
    bounded("buffer");
}

#[test]
fn frames_of_the_bus_come_out_as_they_were_written_however_they_are_cut() {
    bounded("bus");
}

#[test]
fn chunks_are_read_as_the_rfc_says() {
    bounded("chunks");
}

#[test]
fn clients_get_the_answers_to_their_requests_and_nothing_else() {
    bounded("connection");
}

#[test]
fn the_addresses_in_an_answer_are_those_of_the_name_that_was_asked_for() {
    bounded("dns");
}

#[test]
fn an_answer_over_tcp_is_as_many_bytes_as_its_length_says() {
    bounded("dns_tcp");
}

#[test]
fn event_http_shows_its_closure_the_requests_that_the_decoder_reads() {
    bounded("event_http");
}

#[test]
fn event_http_connection_gives_its_closure_the_response_that_the_decoder_reads() {
    bounded("event_http_client");
}

#[test]
fn every_answer_of_a_server_arrives_whole_and_in_its_turn() {
    bounded("event_http_replies");
}

#[test]
fn a_client_dispatches_the_event_that_was_encoded_and_no_other() {
    bounded("event_stream");
}

#[test]
fn the_gate_lets_the_same_requests_on_however_a_stream_is_cut() {
    bounded("gate");
}

#[test]
fn handles_of_every_class_crash_nothing_and_every_closure_is_dropped() {
    bounded("lifetimes");
}

#[test]
fn clients_of_a_hub_get_each_update_that_they_may_read_once_and_in_order() {
    bounded("hub");
}

#[test]
fn the_hub_answers_requests_as_a_second_reader_of_them_says() {
    bounded("hub_requests");
}

#[test]
fn hubs_lose_and_repeat_nothing_whatever_becomes_of_their_store() {
    bounded("hub_store");
}

#[test]
fn the_index_finds_whom_asking_every_matcher_finds() {
    bounded("matchers");
}

#[test]
fn accepted_publications_keep_the_rules_and_survive_their_encoding() {
    bounded("publications");
}

#[test]
fn replies_of_redis_are_the_same_however_they_are_cut_and_keep_a_streams_entries() {
    bounded("redis");
}

#[test]
fn requests_are_the_same_however_a_stream_is_cut() {
    bounded("request");
}

#[test]
fn a_response_is_the_same_however_it_is_cut() {
    bounded("response");
}

#[cfg(feature = "openssl")]
#[test]
fn over_tls_an_application_receives_what_the_peer_sent_or_the_start_of_it_and_an_end() {
    bounded("tls");
}

#[test]
fn only_signed_tokens_are_accepted_and_they_allow_what_they_say() {
    bounded("tokens");
}

#[test]
fn websocket_messages_arrive_as_they_were_sent_however_they_are_cut() {
    bounded("websocket");
}

#[test]
fn every_target_has_a_file_for_cargo_fuzz_which_runs_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz_targets");
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let call = format!("fuzz_targets::libfuzzer::{name}(input)");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&call), "{}", path.display());
        names.insert(name);
    }
    if !cfg!(feature = "openssl") {
        names.remove("tls");
    }
    let targets = TARGETS.iter().map(|target| target.name.to_owned());
    assert_eq!(names, targets.collect());
}
