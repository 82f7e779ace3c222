//! Inputs that fuzzing found.

use fuzz_targets::target;

fn run(name: &str, input: &[u8]) {
    (target(name).run)(input);
}

/// evhttp gets its head alone, so it is complete behind the gate.
#[test]
fn a_body_that_evhttp_does_not_read_may_be_incomplete() {
    run(
        "gate",
        b"#OST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400\r\na",
    );
}

/// The target took it for what stands for a refused request.
#[test]
fn a_peer_may_send_the_text_that_stands_for_a_refused_request() {
    run(
        "gate",
        b"GET / HTTP/1.0\r\nContent-Length:19\r\n\r\nrefused by the gate",
    );
}

/// The redis crate's parser skips bytes that are no reply where they arrive one by one.
#[test]
fn bytes_that_are_no_reply_end_the_connection_to_redis_however_they_are_cut() {
    run("redis", b"\0*1\r\n82\r\n$1\r\nk\r\n:1\r\n");
}

/// The reader that the decoder is compared with took it for white space.
#[test]
fn a_form_feed_at_the_end_of_a_trailer_is_refused() {
    run("chunks", b"0\r\nA: b\x0c\r\n\r\n");
}

/// The reader that the decoder is compared with added it to what had come.
#[test]
fn a_size_up_to_the_last_number_behind_another_chunk_is_refused() {
    run("chunks", b"5\r\nhello\r\nffffffffffffffff\r\n");
}

/// Resolved as a URL it lies beside the hub's path, but a URI template takes it for one of the hub's.
#[test]
fn a_topic_with_dot_segments_behind_the_hubs_path_is_the_hubs() {
    run("publications", b"topic=/hub/%2E%2E/x");
}

/// The server of this target had no room for so many short pieces before the query was sent.
#[test]
fn a_name_server_may_answer_in_many_pieces_before_it_reads_the_query() {
    run("dns_tcp", &[&[b'@', 5][..], &[3; 400]].concat());
}

/// They passed for the head, so the app did not see whose page may read the refusal.
#[test]
fn a_request_that_is_refused_behind_empty_lines_has_a_head() {
    run(
        "connection",
        b"\x02\0\x01\x28\0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    );
}

/// It had no text, as if it were for a `HEAD`.
#[test]
fn the_refusal_of_white_space_before_a_head_request_has_its_text() {
    run(
        "connection",
        b"\0\0\x01\x1d\0 HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    );
}

/// It was refused only where it stood before the one that counted.
#[test]
fn a_last_event_id_that_does_not_count_is_refused_like_one_that_does() {
    run(
        "hub_requests",
        b"\0H\0\0\0\0\0\x05\x08\0\0\x04\x17\x01\x06\0",
    );
}

/// The target expected a server to come to its third request whose first answers fill the socket.
#[test]
fn a_server_stops_at_answers_that_are_not_read_until_the_app_has_replied_again() {
    run(
        "connection",
        b"\xaa\xaa\xff\xff\xff\x05\0\0\x04\x01\x1e\x04\x1e\x02\x05EEEEEE",
    );
}

/// The target let the app reply as often as the server had come to a request.
#[test]
fn how_often_the_app_replies_does_not_depend_on_the_server() {
    run(
        "connection",
        b"\x0e\xa1\0T\"\x0e\xa1\0\x004\x04\0\x1e\x0566666666666666TT\xcf",
    );
}

/// The target did not know that a head with so many fields is refused.
#[test]
fn a_request_to_a_hub_with_more_than_a_hundred_fields_is_left_out() {
    run("hub_requests", &[&b"?"[..], &[0x82; 300]].concat());
}

/// The target did not know that a publication with so many topics is refused.
#[test]
fn a_publication_with_more_than_a_hundred_topics_is_refused() {
    for topics in [100, 101] {
        run(
            "hub_requests",
            &[&b"\0I\x02\0\0"[..], &[8, 0].repeat(topics)].concat(),
        );
    }
}

/// The model wanted the history first.
#[test]
fn a_websocket_may_get_an_answer_before_the_rest_of_a_long_history() {
    run(
        "hub",
        b"\0A\x01\xf0\x0f\0\0\x0a\x04\x04\x01\x05\0\0\x10\x40\x01\xf0\0\0\x01\x05",
    );
}

/// A server that stops gives a new connection a second to send its request. It gave the app no more
/// for the answer.
#[test]
fn a_stopping_server_waits_for_the_answer_to_a_request_as_long_as_any_other() {
    run("connection", b"\0\x05\xf1\0\x01\x05\xf0\x03");
}

/// Also where the deadline that the connection had before comes first.
#[test]
fn the_time_for_an_answer_begins_with_its_request() {
    run(
        "connection",
        b"\0\x05\xf0\x03\0\x01\x05\xf0\x04\xf0\x04\xf0\x03",
    );
}

/// The target expected messages for a client whose connection was not accepted.
#[test]
fn who_is_not_accepted_gets_no_messages() {
    run("connection", b"\xe0\x40\x05\x07\x0a\x05");
}

/// The target expected the second client to be accepted however the first one's bytes are cut.
#[test]
fn whether_a_place_is_left_depends_on_how_bytes_are_cut() {
    run(
        "connection",
        b"\x84I\0\x01\0\x02\xf7\x01\0\x12\x05\0\x01\x05\0\x01\x02\0\x02\0\x0e\x08\x01\x05\xf0\x06",
    );
}

/// The head of the request may begin with empty lines, which the target did not know.
#[test]
fn a_body_is_refused_whose_head_stands_behind_empty_lines() {
    run(
        "connection",
        b"\x02\0\x01\x3e\0\r\nHEAD /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n\x05",
    );
}

/// More clients waited to be accepted than the system lets wait.
#[test]
fn clients_come_and_go_while_another_has_the_only_place() {
    run("connection", &[&b"\xe0\x40"[..], &[13; 100]].concat());
}

/// The model took one of two subscriptions that are alike for the other.
#[test]
fn a_list_of_subscriptions_may_not_say_whose_they_are() {
    for _ in 0..16 {
        run(
            "hub",
            b"\0\x09\x04\x01\0\0\x0e\0\x04\x02\0\x40\x0e\0\x04\0\x02\0\0",
        );
    }
}

/// The target had the client of a WebSocket send another request before the history had come.
#[test]
fn who_opens_a_websocket_sends_no_more_requests() {
    run(
        "hub",
        b"\x00\x15\xc2\x00;\xbd\x00\x00\x00\x00\xf3\x08\x00\x00",
    );
}

/// The target took for granted that a WebSocket opens whose place another client takes first.
#[test]
fn another_client_takes_the_place_of_a_websocket_that_is_to_open() {
    run(
        "hub",
        b"\x00\xf0\x02\x00\x00\x00\x00\x08\x00\x00\x00\xf3\x00\xd8\x00\xf0\x00\x03\x04\x02\x00\x00\x00\x00\x04\xff\x00\x00\x00\x00\x00\x00\x00",
    );
}

/// The model wanted the pong only when the message had been sent whole.
#[test]
fn a_ping_inside_a_message_is_answered_before_the_message_is_complete() {
    run("hub", b"\0\x01\0\0\x1e\0\x83\x05\x09\x01");
    // Behind the request that opens the WebSocket, without the history and with it.
    run("hub", b"\0\x01\x80\0\x3e\0\x0b\x09\x01");
    run("hub", b"\0\x01\x80\0\x3e\x40\x0b\x08\x01\x05");
}

/// The target compared the date of a refusal with none, of which a client got the start.
#[test]
fn a_client_is_cut_off_whose_refusal_is_longer_than_the_queue() {
    run(
        "connection",
        &[&b"\x01;\x01%"[..], &[0; 39], b"\x10\x04\x00\xc8\x00"].concat(),
    );
}

/// The target did not wait so long for it to arrive.
#[cfg(feature = "openssl")]
#[test]
fn a_record_of_maximum_length_under_a_tls_filter_comes_in_five_turns() {
    run(
        "tls",
        b"eS\x01\0\0\x17\0\0\0Wa22\0\0P\0\0\x80\0\x0022\0\x08\xc91\x0ftg",
    );
}

/// The target did not wait for records of which the application sees nothing.
#[cfg(feature = "openssl")]
#[test]
fn a_server_may_ask_for_a_handshake_many_times_before_it_ends() {
    run(
        "tls",
        &[
            &b"\x96\xd9\xb4\x08Z,EtlsiviDsiviDK\x86\x87\xed\xe0GC\xf50"[..],
            &[b')'; 114],
            b"uy]\x07\x84\xfb\x02\xb0\xd8\xc4[\xc7\xe9\xb8",
        ]
        .concat(),
    );
}

/// A hub whose registration had no answer was removed by another one, and did not notice.
#[test]
fn a_hub_that_does_not_know_whether_it_was_entered_lists_its_subscriptions_again() {
    let comes = [1, 0, 0, 0, 6, 2, 13, 0, 4, 0x22];
    let is_cut_off = [0x85, 2, 255, 5, 3, 255, 6, 1];
    let (is_removed, is_back) = ([2, 5].repeat(10), [6, 0, 2, 5]);
    let steps = [&comes[..], &is_cut_off, &is_removed, &is_back].concat();
    run("hub_store", &steps);
}

/// It was kept on a connection that was lost, and refused on the next one.
#[test]
fn an_update_that_may_have_been_kept_is_not_called_refused() {
    run("hub_store", &[2, 4, 0, 1, 0, 7, 0x20, 2, 3]);
}

/// The first of the next subscriptions entered it again, and it took that for its old entry.
#[test]
fn a_hub_lists_its_subscriptions_again_when_it_is_entered_again_with_another() {
    run(
        "hub_store",
        &[7, 5, 1, 0, 0, 0, 0, 5, 1, 0, 0x8a, 4, 0, 12, 1],
    );
}

/// It was closed with 1012, and the hub kept its update afterwards.
#[test]
fn a_websocket_that_missed_updates_learns_what_became_of_its_own() {
    let (fails_over, publishes, others_publish) = ([9, 0], [1, 0xff], [0x8b, 240]);
    let steps = [&[2][..], &fails_over, &publishes, &others_publish];
    run("hub_store", &steps.concat());
}
