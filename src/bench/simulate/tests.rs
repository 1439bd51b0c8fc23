//! The scenarios of `examples/fair`, each held against its own bounds, and what a scenario file is refused for.

use super::outcome::Outcome;
use super::*;

/// A scenario of the examples, with all its bounds kept; with three seeds, so that none is met by luck.
fn keeps_its_bounds(name: &str) -> Outcome {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/fair").join(name);
    let scenario = load(&file).unwrap();
    let outcomes = [1, 2, 3].map(|seed| simulate(&scenario, seed).0);
    for outcome in &outcomes {
        assert_eq!(outcome.missed, Vec::<String>::new(), "{name}, seed {}", outcome.seed);
    }
    let [first, ..] = outcomes;
    assert!(first.jobs > 0, "{name}: nothing ran");
    first
}

#[test]
fn quiet_tenants_do_not_wait_for_a_noisy_neighbour() {
    keeps_its_bounds("noisy_neighbour.toml");
}

#[test]
fn ten_equal_tenants_get_the_same_worker_time_in_one_process_and_in_four() {
    keeps_its_bounds("equal_tenants_one_process.toml");
    keeps_its_bounds("equal_tenants_four_processes.toml");
}

#[test]
fn worker_time_goes_by_weight() {
    keeps_its_bounds("weights.toml");
}

#[test]
fn a_newcomer_starts_at_once_beside_long_jobs_for_every_slot() {
    keeps_its_bounds("long_jobs_and_a_newcomer.toml");
}

#[test]
fn tenants_whose_long_work_is_held_up_take_turns() {
    keeps_its_bounds("long_jobs_take_turns.toml");
}

#[test]
fn work_that_takes_its_time_has_its_turn_beside_a_flood_that_is_claimed_ahead() {
    keeps_its_bounds("claim_ahead.toml");
}

#[test]
fn ordinary_work_goes_on_beside_a_flood_of_urgent_work() {
    keeps_its_bounds("urgent_flood.toml");
}

#[test]
fn a_limit_below_the_number_of_processes_is_used_and_never_exceeded() {
    let outcome = keeps_its_bounds("limit_of_two.toml");
    assert_eq!(outcome.limits[0].peak, 2);
}

#[test]
fn a_limit_that_does_not_divide_among_the_processes_is_used_and_never_exceeded() {
    let outcome = keeps_its_bounds("limit_of_seven.toml");
    assert_eq!(outcome.limits[0].peak, 7);
}

#[test]
fn none_of_a_thousand_tenants_falls_behind_by_more_than_its_longest_job() {
    keeps_its_bounds("many_tenants.toml");
}

const SMALL: &str = r#"
time = "5s"
[kinds.mail]
exponential = "20ms"
[[tenants]]
name = "acme"
limit = 3
[[tenants.work]]
kind = "mail"
backlog = 300
[[tenants]]
name = "globex"
[[tenants.work]]
kind = "mail"
per_second = 40
random = true
"#;

#[test]
fn the_same_seed_gives_the_same_output_to_the_last_byte_and_another_seed_another() {
    let output = |seed| {
        let (outcome, groups) = simulate(&reading::read(SMALL).unwrap(), seed);
        format!("{}{:?}", serde_json::to_string(&outcome).unwrap(), tables(&outcome, &groups))
    };
    assert_eq!(output(7), output(7));
    assert!(output(7) != output(8));
}

#[test]
fn every_job_is_accounted_for() {
    let (outcome, _) = simulate(&reading::read(SMALL).unwrap(), 1);
    let acme = &outcome.tenants[0];
    // Those that run when time is over have neither ended nor not begun.
    let running = 300 - acme.jobs - acme.unserved;
    assert!(running <= 3, "{acme:?}");
    assert!(
        (outcome.worker_seconds - outcome.tenants.iter().map(|t| t.worker_seconds).sum::<f64>()).abs() < 1e-6
    );
}

#[test]
fn bounds_that_are_missed_are_named_with_what_was_reached() {
    let text = format!(
        "{SMALL}[tenants.expect]\nwait_max = \"1us\"\n[expect]\nslots_used = 0.99\nlimit_used = 1.0\n"
    );
    let missed = simulate(&reading::read(&text).unwrap(), 1).0.missed.join("; ");
    for part in [
        "slots_used is 0.",
        "expected at least 0.99",
        "tenant acme, total: limit_used",
        "tenant globex: wait_max",
    ] {
        assert!(missed.contains(part), "{part:?} is not in {missed}");
    }
}

#[test]
fn a_bound_on_what_is_not_defined_counts_as_missed() {
    let text = format!("{SMALL}[expect]\njain = 0.1\n");
    let missed = simulate(&reading::read(&text).unwrap(), 1).0.missed;
    assert!(missed[0].starts_with("jain is not defined"), "{missed:?}");
}

#[test]
fn a_bound_on_limits_that_nobody_has_is_refused() {
    let text = format!("{}[expect]\nlimit_used = 0.5\n", SMALL.replace("limit = 3\n", ""));
    let wrong = reading::read(&text).unwrap_err();
    assert_eq!((wrong.line, wrong.why.contains("no tenant has one")), (17, true), "{wrong:?}");
}

#[test]
fn what_a_file_is_refused_for_is_told_with_its_line() {
    for (was, is, line, part) in [
        ("time = \"5s\"", "tim = \"5s\"", 2, "unknown key `tim`"),
        ("time = \"5s\"", "time = \"soon\"", 2, "a time of at most 30 days"),
        ("time = \"5s\"", "time = 0", 2, "time must be above zero"),
        ("exponential = \"20ms\"", "long = true", 3, "must say how long its jobs run"),
        ("limit = 3", "limits = 3", 7, "unknown key `limits`"),
        ("limit = 3", "weight = -1", 5, "tenant \"acme\": weight"),
        ("limit = 3", "queue_limits = { urgent = 3 }", 7, "queue \"urgent\" is not served"),
        ("kind = \"mail\"\nbacklog", "kind = \"mial\"\nbacklog", 9, "no [kinds.mial]"),
        ("name = \"globex\"", "name = \"acme\"", 11, "two entries of tenants are named \"acme\""),
        ("per_second = 40", "per_second = \"many\"", 15, "invalid type"),
        ("per_second = 40", "per_second = 1e-300", 13, "per_second must be"),
        ("per_second = 40", "per_second = nan", 13, "per_second must be"),
        ("backlog = 300", "backlog = 9_000_000_000_000", 8, "backlog and burst"),
        ("backlog = 300", "burst = 3", 8, "this work brings no job"),
        ("backlog = 300", "backlog = 0", 8, "this work brings no job"),
        ("limit = 3", "count = 9_000_000_000", 1, "9000000001 tenants"),
        ("random = true", "random = ", 16, ""),
    ] {
        let text = SMALL.replacen(was, is, 1);
        assert_ne!(text, SMALL, "{was}");
        let wrong = reading::read(&text).unwrap_err();
        assert_eq!(wrong.line, line, "{is}: {}", wrong.why);
        assert!(wrong.why.contains(part), "{is}: {}", wrong.why);
    }
}
