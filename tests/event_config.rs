//! `EventConfig`: backends, features, flags, dispatch limits, and the environment.

use std::cell::Cell;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use php_event::{Error, Event, EventBase, EventConfig, EventFeatures, Result};
use test_support::{NOW, Seen, alone, new_base, noting, run};

fn config(wishes: impl FnOnce(&EventConfig) -> Result<()>) -> EventConfig {
    let config = EventConfig::new().unwrap();
    wishes(&config).unwrap();
    config
}

fn method(wishes: fn(&EventConfig) -> Result<()>) -> Result<(String, u32)> {
    let base = EventBase::with_config(&config(wishes))?;
    Ok((base.get_method().to_owned(), base.get_features().bits()))
}

#[test]
fn the_constants_have_the_numbers_of_php() {
    let features = [
        EventConfig::FEATURE_ET,
        EventConfig::FEATURE_O1,
        EventConfig::FEATURE_FDS,
    ];
    assert_eq!(features.map(|feature| feature.bits()), [1, 2, 4]);
}

#[test]
fn the_best_backend_that_meets_the_requirements_is_used() {
    type Case = (
        &'static str,
        fn(&EventConfig) -> Result<()>,
        (&'static str, u32),
    );
    let cases: [Case; 9] = [
        ("none", |_| Ok(()), ("epoll", 11)),
        ("no epoll", |c| c.avoid_method("epoll"), ("poll", 12)),
        (
            "no epoll, no poll",
            |c| {
                c.avoid_method("poll")
                    .and_then(|()| c.avoid_method("epoll"))
            },
            ("select", 4),
        ),
        (
            "an unknown backend left out",
            |c| c.avoid_method("nonesuch"),
            ("epoll", 11),
        ),
        (
            "edges",
            |c| c.require_features(EventConfig::FEATURE_ET),
            ("epoll", 11),
        ),
        (
            "constant cost",
            |c| c.require_features(EventConfig::FEATURE_O1),
            ("epoll", 11),
        ),
        (
            "any file",
            |c| c.require_features(EventConfig::FEATURE_FDS),
            ("poll", 12),
        ),
        (
            "edges in place of the impossible",
            |c| {
                c.require_features(EventConfig::FEATURE_ET | EventConfig::FEATURE_FDS)?;
                c.require_features(EventConfig::FEATURE_ET)
            },
            ("epoll", 11),
        ),
        (
            "a changelist",
            |c| c.set_flags(EventBase::EPOLL_USE_CHANGELIST),
            ("epoll", 11),
        ),
    ];
    for (what, wishes, (name, features)) in cases {
        assert_eq!(
            method(wishes).unwrap(),
            (name.to_owned(), features),
            "{what}"
        );
    }
}

#[test]
fn requirements_that_no_backend_meets_fail_when_the_base_is_made() {
    type Case = (&'static str, fn(&EventConfig) -> Result<()>);
    let cases: [Case; 3] = [
        ("every backend left out", |c| {
            ["epoll", "poll", "select"]
                .into_iter()
                .try_for_each(|name| c.avoid_method(name))
        }),
        ("features that exclude each other", |c| {
            c.require_features(EventConfig::FEATURE_ET | EventConfig::FEATURE_FDS)
        }),
        ("an unknown feature", |c| {
            c.require_features(EventFeatures::from_bits_retain(1 << 20))
        }),
    ];
    for (what, wishes) in cases {
        let error = method(wishes).expect_err(what);
        assert!(matches!(error, Error::Call { .. }), "{what}: {error:?}");
        assert_eq!(error.call(), "EventBase::__construct");
        let cause = error.error_info().expect("libevent says why");
        assert!(cause.contains("no event mechanism available"), "{cause}");
        assert_eq!(
            error.to_string(),
            format!("EventBase::__construct failed: {cause}")
        );
    }
}

#[test]
fn a_method_name_with_a_nul_is_refused() {
    let error = config(|_| Ok(())).avoid_method("ep\0ll").unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error}");
    assert!(
        error.to_string().starts_with("EventConfig::avoidMethod: "),
        "{error}"
    );
    assert!(error.to_string().contains(r#""ep\0ll""#), "{error}");
}

#[test]
fn the_flag_for_windows_is_refused_and_sets_nothing() {
    let config = config(|_| Ok(()));
    let flags = EventBase::STARTUP_IOCP | EventBase::NO_CACHE_TIME;
    let error = config.set_flags(flags).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error}");
    assert_eq!(error.call(), "EventConfig::setFlags");
    assert!(error.to_string().contains("STARTUP_IOCP"), "{error}");
    assert!(caches_time(&EventBase::with_config(&config).unwrap()));
}

/// Whether the base's time stands still within a callback.
fn caches_time(base: &EventBase) -> bool {
    let (same, own) = (Rc::new(Cell::new(None)), base.clone());
    let seen = same.clone();
    let timer = Event::timer(base, move |_| {
        let before = own.get_time_of_day_cached().unwrap();
        thread::sleep(Duration::from_millis(20)); // more than a coarse clock's step
        seen.set(Some(own.get_time_of_day_cached().unwrap() == before));
    });
    let timer = timer.unwrap();
    timer.add(NOW).unwrap();
    run(base);
    same.get().unwrap()
}

#[test]
fn flags_are_added_to_those_before_and_change_no_base_made_already() {
    let config = config(|config| config.set_flags(EventBase::NOLOCK));
    let before = EventBase::with_config(&config).unwrap();
    config.set_flags(EventBase::NO_CACHE_TIME).unwrap();
    config.clone().set_flags(EventBase::PRECISE_TIMER).unwrap(); // a clone is the same config
    config.avoid_method("poll").unwrap();
    let after = EventBase::with_config(&config).unwrap();
    assert!(caches_time(&before));
    assert!(!caches_time(&after));
    drop(config);
    for base in [before, after] {
        let seen = Seen::new();
        noting(&base, &seen, "ran").add(NOW).unwrap(); // dropped at once: never fires
        let kept = noting(&base, &seen, "kept");
        kept.add(NOW).unwrap();
        run(&base);
        assert_eq!(seen.take(), ["kept"]);
    }
}

/// The order in which three patient events run that each make an urgent one due.
fn order(config: &EventConfig) -> Vec<&'static str> {
    let (base, seen) = (EventBase::with_config(config).unwrap(), Seen::new());
    base.priority_init(2).unwrap();
    let urgent = noting(&base, &seen, "HIGH");
    urgent.set_priority(0).unwrap();
    let _patient = [0; 3].map(|_| {
        let (note, urgent) = (seen.clone(), urgent.clone());
        let event = Event::timer(&base, move |_event| {
            note.note("low");
            urgent.add(NOW).unwrap();
            thread::sleep(Duration::from_millis(20));
        });
        let event = event.unwrap();
        event.add(NOW).unwrap();
        event
    });
    run(&base);
    seen.take()
}

#[test]
fn a_dispatch_limit_lets_urgent_events_in_between_less_urgent_ones() {
    let (after_all, after_each) = (
        ["low", "low", "low", "HIGH"].as_slice(),
        ["low", "HIGH", "low", "HIGH", "low", "HIGH"].as_slice(),
    );
    let time = Some(Duration::from_millis(1)); // less than a callback takes
    for (max_interval, max_callbacks, min_priority, expected) in [
        (None, None, 0, after_all),
        (None, Some(1), 0, after_each),
        (None, Some(1), 1, after_each),
        (None, Some(1), 2, after_all), // concerns no event
        (None, Some(u32::MAX), 0, after_all),
        (time, None, 0, after_each),
        (time, None, -1, after_each),
        (Some(Duration::MAX), None, 0, after_all),
    ] {
        let config =
            config(|c| c.set_max_dispatch_interval(max_interval, max_callbacks, min_priority));
        assert_eq!(
            order(&config),
            expected,
            "{max_interval:?} {max_callbacks:?} {min_priority}"
        );
    }
    assert_eq!(order(&config(|_| Ok(()))), after_all);
}

#[test]
fn a_backend_that_the_environment_forbids_is_excluded_unless_the_config_ignores_it() {
    alone(&[("EVENT_NOEPOLL", "1")], || {
        assert_eq!(new_base().get_method(), "poll");
        let ignoring = method(|config| config.set_flags(EventBase::IGNORE_ENV)).unwrap();
        assert_eq!(ignoring.0, "epoll");
    });
}

#[test]
fn two_backends_that_the_environment_forbids_leave_select() {
    alone(&[("EVENT_NOEPOLL", "1"), ("EVENT_NOPOLL", "1")], || {
        assert_eq!(new_base().get_method(), "select");
    });
}

#[test]
fn an_environment_that_forbids_every_backend_is_an_error_and_no_text_on_stderr() {
    let none = ["EVENT_NOEPOLL", "EVENT_NOPOLL", "EVENT_NOSELECT"].map(|name| (name, "1"));
    alone(&none, || {
        let error = EventBase::new().unwrap_err();
        assert!(matches!(error, Error::Call { .. }), "{error:?}");
        assert!(
            error
                .to_string()
                .starts_with("EventBase::__construct failed: "),
            "{error}"
        );
    });
}

#[test]
fn a_config_implements_debug() {
    assert!(format!("{:?}", EventConfig::new().unwrap()).starts_with("EventConfig("));
}
